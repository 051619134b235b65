/** Tags that somebody holds: retention does not remove them, whatever the policies say. */
import { failure, type Result } from "../../oci/errors.ts";
import type { Tag } from "../../oci/reference.ts";
import type { HeldTag } from "../../rpc/policies-api.ts";
import { hasRow, readRows, type Tx } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Tags } from "./tags.ts";

/** The tags that are held. */
export class HeldTags implements Feature {
  readonly tables = { held_tags: { key: ["tag"], comesBack: "with its tag" } } as const;

  readonly steps = {
    12: `
  CREATE TABLE held_tags (
    tag TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
  ) WITHOUT ROWID;
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  readonly #tags: Tags;

  constructor(host: LedgerHost, tags: Tags) {
    this.#host = host;
    this.#tags = tags;
  }

  /** Holds a tag. Error: `MANIFEST_UNKNOWN`. */
  hold(tx: Tx, tag: Tag, reason: string, actor: string): Result<{ held: HeldTag }> {
    const { clock, revision } = this.#host;
    if (this.#tags.read(tag) === undefined) return failure("MANIFEST_UNKNOWN", { tag });
    const atMs = clock.now();
    const put = "INSERT OR REPLACE INTO held_tags (tag, at, actor, reason) VALUES (?, ?, ?, ?)";
    tx.write(put, tag, atMs, actor, reason);
    revision.value++;
    return { ok: true, held: { tag, atMs, actor, reason } };
  }

  /** Ends the hold of a tag. Error: `MANIFEST_UNKNOWN` if it is not held. */
  release(tx: Tx, tag: Tag): Result {
    this.#host.revision.value++;
    const released = tx.write("DELETE FROM held_tags WHERE tag = ? RETURNING 1", tag).length > 0;
    return released ? { ok: true } : failure("MANIFEST_UNKNOWN", { tag });
  }

  /** Whether somebody holds a tag. */
  isHeld(tag: Tag): boolean {
    return hasRow(this.#host.sql, "SELECT 1 FROM held_tags WHERE tag = ?", tag);
  }

  /** The first tags that are held. */
  list(limit: number): HeldTag[] {
    const query = "SELECT tag, at AS atMs, actor, reason FROM held_tags ORDER BY tag LIMIT ?";
    return readRows<HeldTag>(this.#host.sql, query, limit);
  }
}
