/**
 * What the policies say of this repository, and what they forbid. The Worker sends it with each write; the ledger keeps
 * what has the highest version, and never goes back.
 */
import { type Failure, failure } from "../../oci/errors.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import { type AppliedPolicy, noPolicy, type Policy } from "../../policy/document.ts";
import { isImmutable, placeOf, refusedName, refusedTag } from "../../policy/enforcement.ts";
import { eachRow, firstRow, hasTable, readRows, type Tx } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Tags } from "./tags.ts";

/** The policy of this repository. */
export class Policies implements Feature {
  readonly tables = { policy: "kept" } as const;

  readonly steps = {
    // One row, with what holds as JSON.
    11: `
  CREATE TABLE policy (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, policy TEXT NOT NULL);
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  #known: AppliedPolicy | undefined;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** What holds, and by which version of the document; version 0 if there never was one. */
  get applied(): AppliedPolicy {
    if (this.#known !== undefined) return this.#known;
    const { sql } = this.#host;
    const query = "SELECT version, policy FROM policy";
    const row = hasTable(sql, "policy")
      ? firstRow<{ version: number; policy: string }>(sql, query)
      : undefined;
    if (row === undefined) return { version: 0, policy: noPolicy };
    this.#known = { version: row.version, policy: JSON.parse(row.policy) };
    return this.#known;
  }

  /** What holds. */
  get policy(): Policy {
    return this.applied.policy;
  }

  /** What was sent, or what is known if that is newer. */
  newerOf(sent: AppliedPolicy | undefined): AppliedPolicy {
    const { applied } = this;
    return sent !== undefined && sent.version > applied.version ? sent : applied;
  }

  /** Keeps what was sent, if it is newer than what is known. */
  adopt(tx: Tx, sent: AppliedPolicy | undefined): void {
    if (sent === undefined || sent.version <= this.applied.version) return;
    const put = `INSERT INTO policy (id, version, policy) VALUES (1, ?, ?)
      ON CONFLICT DO UPDATE SET version = excluded.version, policy = excluded.policy`;
    tx.write(put, sent.version, JSON.stringify(sent.policy));
    // Read again, as the transaction may be undone.
    this.#known = undefined;
  }

  /** Forgets what was read, as the object's data is deleted. */
  forget(): void {
    this.#known = undefined;
  }

  // ── What is forbidden ────────────────────────────────────────────────────────────────────────────────────────

  /** Why the repository may not be founded; `undefined` if it may. Error: `NAME_REFUSED`. */
  refuseName(repository: string, sent: AppliedPolicy | undefined): Failure | undefined {
    const refused = refusedName(this.newerOf(sent).policy, repository);
    return refused && failure("NAME_REFUSED", { repository, ...refused });
  }

  /** Why a push may not point these tags at a digest. Errors: `TAG_REFUSED`, `TAG_IMMUTABLE`. */
  refusePush(pushed: Tag[], digest: Digest, tags: Tags): Failure | undefined {
    for (const tag of pushed) {
      const refused = tags.read(tag) === undefined ? refusedTag(this.policy, tag) : undefined;
      const refusal = refused
        ? failure("TAG_REFUSED", { tag, ...refused })
        : this.refuseMove(tag, digest, tags);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Why a tag may not be pointed at a digest, or be deleted (`undefined`). Error: `TAG_IMMUTABLE`. */
  refuseMove(tag: Tag, digest: Digest | undefined, tags: Tags): Failure | undefined {
    const current = tags.read(tag)?.digest;
    if (current === undefined || current === digest || !isImmutable(this.policy, tag)) return undefined;
    return this.#immutable(tag, current);
  }

  /** Why a manifest may not be deleted: an immutable tag leads to it, itself or by an index. Error: `TAG_IMMUTABLE`. */
  refuseDeletion(digest: Digest): Failure | undefined {
    if (this.policy.tags?.immutable === undefined) return undefined;
    const query = `WITH RECURSIVE leading(digest) AS (
        SELECT ?1 UNION SELECT manifest FROM manifest_references JOIN leading USING (digest)
      ) SELECT tags.tag, tags.digest FROM tags JOIN leading USING (digest)` as const;
    const found = readRows<{ tag: Tag; digest: Digest }>(this.#host.sql, query, digest);
    const reaching = found.find(({ tag }) => isImmutable(this.policy, tag));
    return reaching && this.#immutable(reaching.tag, reaching.digest);
  }

  /** Why the repository may not be deleted: it has an immutable tag. Error: `TAG_IMMUTABLE`. */
  refuseEnd(): Failure | undefined {
    if (this.policy.tags?.immutable === undefined) return undefined;
    const query = "SELECT tag, digest FROM tags ORDER BY tag";
    for (const { tag, digest } of eachRow<{ tag: Tag; digest: Digest }>(this.#host.sql, query))
      if (isImmutable(this.policy, tag)) return this.#immutable(tag, digest);
    return undefined;
  }

  #immutable(tag: Tag, digest: Digest): Failure {
    return failure("TAG_IMMUTABLE", { tag, digest, rule: placeOf(this.policy, "tags", "immutable") });
  }
}
