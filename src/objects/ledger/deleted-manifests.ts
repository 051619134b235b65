/**
 * Manifests that were deleted, by a request or by the policy on untagged manifests. They can be restored during the
 * grace time, in which the blobs that they reference are kept, too: their bytes stay where they were. No other feature
 * of the ledger sees them.
 */

import { failure, type Result } from "../../oci/errors.ts";
import { type Origin, policyItself, registryItself } from "../../oci/event.ts";
import { readStoredManifest } from "../../oci/manifest.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import { clientsOwnTags } from "../../policy/retention.ts";
import { logDeletion } from "../../rpc/tally.ts";
import type { TagRestore } from "../../rpc/upkeep.ts";
import { type DueRow, jobOn } from "../due.ts";
import { firstRow, inPieces, readRows, type Tx, transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { HeldTags } from "./held-tags.ts";
import { deleteBytes, forgetDeletion, type Manifests } from "./manifests.ts";
import type { Outbox } from "./outbox.ts";
import type { Policies } from "./policies.ts";
import { hasUnread, type Rereading } from "./reread.ts";
import type { Tags } from "./tags.ts";
import { type Untagged, untaggedJob } from "./untagged.ts";

/** The job that deletes the bytes of a deleted manifest once it can no longer be restored. */
const purgeJob = "purge";

/** A deleted manifest. `tags`: those that pointed at it and were deleted with it. */
type DeletedManifest = { mediaType: string; sizeBytes: number; tags: Tag[] };

/** The features that a deletion changes. */
type Features = {
  policies: Policies;
  manifests: Manifests;
  rereading: Rereading;
  tags: Tags;
  held: HeldTags;
  blobs: Blobs;
  untagged: Untagged;
  outbox: Outbox;
  events: EventLog;
};

/** The deletion of manifests, and their restoration. */
export class DeletedManifests implements Feature {
  readonly tables = {
    deleted_manifests: { key: ["digest"], comesBack: "never" },
    deleted_tags: { key: ["digest", "tag"], comesBack: "never" },
  } as const;

  readonly steps = {
    // tags is a JSON array.
    2: `
  CREATE TABLE deleted_manifests (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    tags TEXT NOT NULL
  ) WITHOUT ROWID;
`,
    // The tags get rows of their own, as together they may exceed the size of a value.
    4: `
  CREATE TABLE deleted_tags (digest TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (digest, tag)) WITHOUT ROWID;
  INSERT INTO deleted_tags (digest, tag)
    SELECT DISTINCT deleted_manifests.digest, value FROM deleted_manifests, json_each(deleted_manifests.tags);
  ALTER TABLE deleted_manifests DROP COLUMN tags;
`,
    9: `
  ALTER TABLE deleted_manifests ADD COLUMN deleted_at INTEGER;
  ALTER TABLE deleted_manifests ADD COLUMN actor TEXT;
`,
  };

  readonly jobs = {
    // A row that is about another generation finds nothing, or was given another time.
    [untaggedJob]: {
      atDeletion: "kept",
      run: jobOn<Digest>(async (due) => {
        const { policies } = this.#features;
        const latest = await policies.readLatest();
        policies.forget();
        transaction(this.#host.storage, (tx) => {
          policies.adopt(tx, latest);
          this.#removeUntagged(tx, due);
        });
      }),
    },
    [purgeJob]: {
      atDeletion: "kept",
      run: jobOn<Digest>(async (due) => transaction(this.#host.storage, (tx) => this.#purge(tx, due))),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #features: Features;

  constructor(host: LedgerHost, features: Features) {
    this.#host = host;
    this.#features = features;
  }

  // ── Deleting ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Deletes a manifest and the tags that point at it. Error: `MANIFEST_UNKNOWN`. */
  remove(tx: Tx, digest: Digest, origin: Origin, reason = "asked for"): Result<{ tags: Tag[] }> {
    const { due, name } = this.#host;
    const { manifests, rereading, tags, blobs, untagged, outbox, events } = this.#features;
    const stat = manifests.stat(digest);
    if (stat === undefined) return failure("MANIFEST_UNKNOWN", { digest });
    // The manifest may be restored, together with all that it references.
    if (hasUnread(due)) rereading.reread(tx, stat);
    const pointing = tags.removeAllOf(tx, digest, origin);
    const referenced = manifests.withdraw(tx, digest);
    this.#keep(tx, digest, { ...stat, tags: pointing }, origin);
    blobs.releaseUnnamed(tx, referenced);
    untagged.removeLater(tx, [...referenced, ...this.#referrersOf(digest)]);
    outbox.mark(tx, { kind: "manifest", digest });
    events.record(tx, "manifest.delete", origin, { digest });
    const shownTags = pointing.slice(0, 100);
    const { actor } = origin;
    logDeletion({ what: "manifest", reason, repository: name(), digest, actor, tags: shownTags });
    return { ok: true, tags: pointing };
  }

  /** Keeps what is needed to restore a manifest during the grace time; without grace, deletes its bytes. */
  #keep(tx: Tx, digest: Digest, { mediaType, sizeBytes, tags }: DeletedManifest, { actor }: Origin): void {
    const { due, clock, settings } = this.#host;
    if (settings.gcGraceMs === 0) {
      deleteBytes(tx, digest);
      return;
    }
    const now = clock.now();
    const add = `INSERT OR REPLACE INTO deleted_manifests (digest, media_type, size, deleted_at, actor)
      VALUES (?, ?, ?, ?, ?)`;
    tx.write(add, digest, mediaType, sizeBytes, now, actor);
    const addTags = "INSERT OR IGNORE INTO deleted_tags (digest, tag) SELECT ?, value FROM json_each(?)";
    inPieces(tags, (json) => tx.write(addTags, digest, json));
    due.set(tx, purgeJob, digest, now + settings.gcGraceMs);
  }

  #referrersOf(digest: Digest): Digest[] {
    const query = "SELECT digest FROM manifests WHERE subject = ?";
    return readRows<{ digest: Digest }>(this.#host.sql, query, digest).map((each) => each.digest);
  }

  /**
   * Removes the manifests that are due, unless they are reachable again, or were renewed while the policy was read.
   * Nothing is removed while there are manifests that this release has not read, as those may reference them, nor while
   * all are scheduled anew.
   */
  #removeUntagged(tx: Tx, rows: DueRow<Digest>[]): void {
    const { due, tally } = this.#host;
    const { ttlMs, isRule } = this.#features.policies.untaggedTtl;
    if (hasUnread(due) || this.#features.untagged.isScanning(tx)) return;
    for (const { id: digest, at } of rows) {
      // It was pushed again since, or a client was told that it exists.
      if (due.at(untaggedJob, digest) !== at) continue;
      due.clear(tx, untaggedJob, digest);
      if (ttlMs === undefined || this.#features.untagged.isReached(digest)) continue;
      const [origin, reason] = isRule
        ? [policyItself, "nothing reached it for untaggedAfter"]
        : [registryItself, "nothing reached it for UNTAGGED_TTL"];
      const removed = this.remove(tx, digest, origin, reason);
      if (removed.ok) tally.add({ manifests: 1 });
      if (removed.ok && isRule) this.#removeClientsOwn(tx, digest);
    }
  }

  /** Deletes the tags that clients made for a manifest that a rule has removed: they go with it, unless they are held. */
  #removeClientsOwn(tx: Tx, digest: Digest): void {
    const { tags, held } = this.#features;
    const going = clientsOwnTags(digest).filter((tag) => !held.isHeld(tag));
    for (const tag of going) tags.move(tx, tag, undefined, policyItself);
  }

  /** Deletes manifests for good, with their bytes. Those that were restored or pushed again are left as they are. */
  #purge(tx: Tx, rows: DueRow<Digest>[]): void {
    for (const { id: digest } of rows) {
      if (forgetDeletion(tx, digest)) deleteBytes(tx, digest);
      this.#host.due.clear(tx, purgeJob, digest);
    }
  }

  /** Deletes a manifest for good, without the grace in which it can be restored. Error: `MANIFEST_UNKNOWN`. */
  removeForGood(tx: Tx, digest: Digest, origin: Origin, reason: string): Result {
    const removed = this.remove(tx, digest, origin, reason);
    if (removed.ok) this.#purge(tx, [{ id: digest, at: 0 }]);
    return removed;
  }

  /** Ends the grace of at most `limit` deleted manifests, so that they are purged now. Returns the number. */
  endGrace(tx: Tx, limit: number): number {
    return this.#host.due.hasten(tx, purgeJob, limit);
  }

  // ── Restoring ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Restores a deleted manifest and those of its tags that do not exist.
   *
   * Errors: `MANIFEST_UNKNOWN` if it was not deleted, or too long ago; `MANIFEST_BLOB_UNKNOWN` if something that it
   * references was deleted, too. That must be restored first.
   */
  restore(tx: Tx, digest: Digest, origin: Origin): Result<{ tags: Tag[] }> {
    const { isSparse, name } = this.#host;
    const { manifests, tags, policies } = this.#features;
    if (manifests.has(digest)) return { ok: true, tags: [] };
    const deleted = this.#read(digest);
    if (deleted === undefined) return failure("MANIFEST_UNKNOWN", { digest });
    const bytes = manifests.bytes(digest, deleted.sizeBytes);
    const facts = readStoredManifest(bytes, deleted.mediaType);
    const free = deleted.tags.filter(
      (tag) => tags.read(tag) === undefined && policies.refuseMove(tag, digest) === undefined,
    );
    const put = { repository: name(), digest, bytes, facts, tags: free, origin, sparse: isSparse() };
    const stored = manifests.store(tx, put);
    return stored.ok ? { ok: true, tags: free } : stored;
  }

  #read(digest: Digest): DeletedManifest | undefined {
    const { sql } = this.#host;
    const query = "SELECT media_type AS mediaType, size AS sizeBytes FROM deleted_manifests WHERE digest = ?";
    const found = firstRow<Omit<DeletedManifest, "tags"> & Record<string, SqlStorageValue>>(
      sql,
      query,
      digest,
    );
    if (found === undefined) return undefined;
    const tags = readRows<{ tag: Tag }>(sql, "SELECT tag FROM deleted_tags WHERE digest = ?", digest);
    return { ...found, tags: tags.map(({ tag }) => tag) };
  }

  /**
   * Points a tag at a manifest that it pointed at before.
   *
   * Errors: `TAG_MOVE_UNKNOWN` if that is not in the tag's history; `MANIFEST_UNKNOWN` if the manifest does not exist;
   * `TAG_IMMUTABLE`.
   */
  restoreTag(
    tx: Tx,
    tag: Tag,
    wanted: TagRestore,
    origin: Origin,
  ): Result<{ digest: Digest; sequence: number }> {
    const { tags, manifests, policies } = this.#features;
    const digest = tags.digestBefore(tag, wanted);
    if (digest === undefined) return failure("TAG_MOVE_UNKNOWN", { tag, ...wanted });
    if (!manifests.has(digest)) return failure("MANIFEST_UNKNOWN", { digest });
    const refused = policies.refuseMove(tag, digest);
    if (refused !== undefined) return refused;
    tags.move(tx, tag, digest, origin);
    const { sequence = 0 } = tags.read(tag) ?? {};
    return { ok: true, digest, sequence };
  }
}
