/**
 * Unlinks blobs: those that nothing references and that have no pending use, and those that a client deletes.
 *
 * Nothing here deletes bytes. The shards are told, ask the ledger again, and decide.
 */

import { failure, type Result } from "../../oci/errors.ts";
import { type Origin, registryItself } from "../../oci/event.ts";
import { type Precondition, refuseChange } from "../../oci/preconditions.ts";
import type { Digest } from "../../oci/reference.ts";
import { namedShardStub, shardOf } from "../../rpc/stubs.ts";
import { logDeletion } from "../../rpc/tally.ts";
import { type DueRow, jobOn } from "../due.ts";
import { inPieces, oneRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";
import { hasUnread } from "./reread.ts";

/** The job that tells the shards which blobs the repository no longer holds. */
const releaseJob = "release";

const unused = `FROM blobs WHERE unlink_at > ?
  AND NOT EXISTS (SELECT 1 FROM manifest_references WHERE manifest_references.digest = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.subject = blobs.digest)`;

/** The unlinking of blobs. */
export class Unlinking implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    unlink: {
      atDeletion: "kept",
      run: jobOn<Digest>(async (due) => transaction(this.#host.storage, (tx) => this.#unlinkUnused(tx, due))),
      // `unlink_at` is null for blobs that a manifest is known to reference.
      column: { table: "blobs", id: "digest", at: "unlink_at", isDue: "unlink_at IS NOT NULL" },
    },
    [releaseJob]: { atDeletion: "awaited", run: jobOn<Digest>((due) => this.#release(due)) },
  } as const;

  readonly #host: LedgerHost;
  readonly #blobs: Blobs;
  readonly #outbox: Outbox;
  readonly #events: EventLog;

  constructor(host: LedgerHost, blobs: Blobs, outbox: Outbox, events: EventLog) {
    this.#host = host;
    this.#blobs = blobs;
    this.#outbox = outbox;
    this.#events = events;
  }

  /** Schedules that the shards are told that the repository no longer holds these blobs. */
  releaseLater(tx: Tx, digests: Digest[]): void {
    const now = this.#host.clock.now();
    const add = "INSERT OR REPLACE INTO due (kind, id, at) SELECT ?, value, ? FROM json_each(?)";
    inPieces(digests, (json) => tx.write(add, releaseJob, now, json));
  }

  /**
   * Unlinks a blob that no manifest references. Errors: `BLOB_UNKNOWN`, `BLOB_REFERENCED`,
   * `PRECONDITION_FAILED`; `UNAVAILABLE` while there are manifests whose references are not all known.
   */
  remove(tx: Tx, digest: Digest, origin: Origin, precondition?: Precondition): Result {
    const { due, name } = this.#host;
    if (this.#blobs.read(digest) === undefined) return failure("BLOB_UNKNOWN", { digest });
    if (this.#blobs.isNamed(digest)) {
      const manifests = this.#blobs.manifestsNaming(digest).slice(0, 10);
      return failure("BLOB_REFERENCED", { digest, manifests });
    }
    if (hasUnread(due)) return failure("UNAVAILABLE");
    const refused = refuseChange(precondition, digest);
    if (refused !== undefined) return refused;
    this.#unlink(tx, digest, origin);
    logDeletion({ what: "blob", reason: "asked for", repository: name(), digest, actor: origin.actor });
    return { ok: true };
  }

  #unlink(tx: Tx, digest: Digest, origin: Origin): void {
    const { due, clock } = this.#host;
    this.#blobs.delete(tx, digest);
    this.#events.record(tx, "blob.delete", origin, { digest });
    this.#outbox.mark(tx, { kind: "blob", digest });
    due.set(tx, releaseJob, digest, clock.now());
    this.#host.announceSoon(tx);
  }

  /**
   * Unlinks the blobs that are due and still unreferenced. While there are manifests whose references are not all
   * known, nothing is unlinked, and the rows stay due.
   */
  #unlinkUnused(tx: Tx, rows: DueRow<Digest>[]): void {
    const { due, clock, settings, tally, name } = this.#host;
    const blobs = this.#blobs;
    if (hasUnread(due)) return;
    for (const { id: digest } of rows) {
      const keepUntil = (blobs.read(digest)?.renewedAtMs ?? 0) + settings.gcGraceMs;
      if (blobs.isNamed(digest)) blobs.unlinkFrom(tx, digest, null);
      else if (keepUntil > clock.now()) blobs.unlinkFrom(tx, digest, keepUntil);
      else {
        this.#unlink(tx, digest, registryItself);
        tally.add({ links: 1 });
        const reason = "nothing referenced it for GC_GRACE";
        logDeletion({ what: "blob", reason, repository: name(), digest });
      }
    }
  }

  /**
   * Ends the grace of at most `limit` unreferenced blobs, so that they are unlinked now. Blobs with a pending use are
   * left. Returns how many were ended, and until when blobs are kept, in milliseconds since 1970 (0: none are).
   */
  endGrace(tx: Tx, limit: number): { ended: number; keptUntilMs: number } {
    const { sql, clock } = this.#host;
    const { waitMs } = this.#blobs.pending;
    const now = clock.now();
    const before = now - waitMs;
    const goes = `SELECT digest ${unused} AND renewed_at <= ? LIMIT ?` as const;
    const ended = readRows<{ digest: Digest }>(sql, goes, now, before, limit).map(({ digest }) => digest);
    this.#blobs.endGrace(tx, ended);
    const stays = `SELECT max(renewed_at) AS at ${unused} AND renewed_at > ?` as const;
    const latest = oneRow<{ at: number | null }>(sql, stays, now, before).at;
    return { ended: ended.length, keptUntilMs: latest === null ? 0 : latest + waitMs };
  }

  /** Tells the shards which blobs the repository no longer holds. */
  async #release(rows: DueRow<Digest>[]): Promise<void> {
    const { env, storage, due, name } = this.#host;
    const byShard = Map.groupBy(rows, ({ id }) => shardOf(env, id));
    for (const [shard, group] of byShard) {
      const digests = group.map(({ id }) => id);
      await namedShardStub(env, shard).release(name(), digests);
      transaction(storage, (tx) => {
        // A blob may have been linked and unlinked again since the shard was told.
        for (const { id, at } of group) if (due.at(releaseJob, id) === at) due.clear(tx, releaseJob, id);
      });
    }
  }
}
