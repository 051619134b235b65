/**
 * How a ledger links blobs and gives them up: one that nothing references and nobody asks about, or all of them.
 *
 * Nothing here deletes bytes. The shards are told, ask again, and decide.
 */
import type { Env } from "../../bindings.ts";
import type { Digest } from "../../oci/digest.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { type Origin, registryItself } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import { scrubJob } from "../scrub/report.ts";
import { type Tx, transaction } from "../sql.ts";
import { namedShardStub, shardOf } from "../stubs.ts";
import { logDeletion } from "../tally.ts";
import type { LedgerParts } from "./parts.ts";
import { rebuildJob } from "./rebuild.ts";
import { hasUnread } from "./reread.ts";
import { historyJob } from "./tag-store.ts";
import { purgeJob } from "./trash-store.ts";
import { untaggedJob, untaggedScanJob } from "./untagged.ts";

/** The job of the `due` table that forgets sessions which ended long ago; its id is the last one that was looked at. */
export const forgetSessionsJob = "forget-sessions";

const sessionsAtOnce = 500;

/** Ends an upload session, `null` for cancelled. False when it has ended otherwise before. */
export function closeSession(
  tx: Tx,
  { blobs, due, clock, settings }: LedgerParts,
  session: string,
  digest: string | null,
): boolean {
  const forgetAt = clock.now() + settings.uploadTtlMs;
  if (!due.has(forgetSessionsJob)) due.set(tx, forgetSessionsJob, "", forgetAt);
  return blobs.closeSession(tx, session, digest, forgetAt);
}

/**
 * Forgets sessions that ended long ago, in batches: each is looked at a few times, which costs less than a row that says
 * when it is due.
 */
export function forgetSessions(tx: Tx, { blobs, due, clock, settings }: LedgerParts, rows: DueRow[]): void {
  const now = clock.now();
  for (const { id: after } of rows) {
    due.clear(tx, forgetSessionsJob, after);
    const last = blobs.forgetSessions(tx, after, sessionsAtOnce, now);
    if (last !== undefined) due.set(tx, forgetSessionsJob, last, now);
    else if (blobs.hasClosedSessions()) due.set(tx, forgetSessionsJob, "", now + settings.uploadTtlMs / 4);
  }
}

/** Links a blob at a location, or moves its link there; returns whether it is new. */
export function link(tx: Tx, parts: LedgerParts, location: BlobLocation, now: number): boolean {
  const { blobs, manifests, promises, graceMs } = parts;
  const known = blobs.read(location.digest);
  blobs.write(tx, location, now, now + graceMs);
  promises.make(location.digest);
  // KV learns of a blob once a manifest names it, and of every move from then on.
  const isNamed = manifests.isReferenced(location.digest);
  const isNewToKv = isNamed && blobs.reference(tx, [location.digest]).length > 0;
  const hasMoved = known?.isReplicated === true && known.key !== location.key;
  if (isNewToKv || hasMoved) markBlobRows(tx, parts, location.digest);
  return known === undefined;
}

/** Tells of a new link: a push, or a mount `from` another repository. */
export function recordLink(
  tx: Tx,
  { events }: LedgerParts,
  { digest, sizeBytes }: BlobLocation,
  origin: Origin,
  from: RepositoryName | undefined,
): void {
  const target = { digest, sizeBytes, mediaType: "application/octet-stream" };
  if (from === undefined) events.record(tx, "blob.push", origin, target);
  else events.record(tx, "blob.mount", origin, { ...target, fromRepository: from });
}

/** Has every row of the replica that says where a blob is written anew. */
export function markBlobRows(tx: Tx, { manifests, outbox }: LedgerParts, digest: string): void {
  outbox.mark(tx, { kind: "blob", digest });
  for (const manifest of manifests.referencing(digest))
    outbox.mark(tx, { kind: "manifest", digest: manifest });
}

/**
 * Keeps a blob for another while: a client relies on it. Written only when less than half of the grace is left, or when
 * nothing else keeps it from a collection that does not wait.
 */
export function renewIfOld(parts: LedgerParts, digest: Digest): void {
  const { storage, blobs, manifests, promises, clock, settings, graceMs } = parts;
  promises.make(digest);
  const known = blobs.read(digest);
  if (known === undefined) return;
  const now = clock.now();
  const ageMs = now - known.renewedAtMs;
  const isOld = ageMs > graceMs / 2 || (ageMs > settings.leaseMs && !manifests.isReferenced(digest));
  if (isOld) transaction(storage, (tx) => blobs.renew(tx, [digest], now));
}

/**
 * Unlinks a blob that no manifest references. Errors: `BLOB_UNKNOWN`, `BLOB_REFERENCED`;
 * `UNAVAILABLE` as long as that is not sure.
 */
export function removeBlob(
  tx: Tx,
  parts: LedgerParts,
  repository: RepositoryName,
  digest: string,
  origin: Origin,
): Result {
  const { blobs, manifests } = parts;
  if (blobs.read(digest) === undefined) return failure("BLOB_UNKNOWN", { digest });
  if (manifests.isReferenced(digest)) {
    return failure("BLOB_REFERENCED", { digest, manifests: manifests.referencing(digest).slice(0, 10) });
  }
  if (hasUnread(parts)) return failure("UNAVAILABLE");
  unlink(tx, parts, digest, origin);
  logDeletion({ what: "blob", reason: "asked for", repository, digest, actor: origin.actor });
  return { ok: true };
}

/** Unlinks one blob. */
function unlink(
  tx: Tx,
  { blobs, due, outbox, events, clock }: LedgerParts,
  digest: string,
  origin: Origin,
): void {
  blobs.delete(tx, digest);
  events.record(tx, "blob.delete", origin, { digest });
  outbox.mark(tx, { kind: "blob", digest });
  due.set(tx, "release", digest, clock.now());
}

/**
 * Lets those of the digests go that are blobs which no manifest references any more, once the grace time is over. In
 * the caller's transaction.
 */
export function unlinkLater(tx: Tx, parts: LedgerParts, digests: string[]): void {
  const { blobs, manifests, promises, clock, graceMs } = parts;
  const until = clock.now() + graceMs;
  for (const digest of blobs.held(digests).filter((blob) => !manifests.isReferenced(blob))) {
    // Who pushed it for this manifest has had their use of it, but for a lease. Others may wait for theirs.
    blobs.release(tx, digest, promises.lastOf(digest, blobs.read(digest)?.renewedAtMs ?? 0), until);
  }
}

/**
 * Ends the grace of what was deleted, or is not referenced, so that it goes now: of at most so many manifests and blobs.
 * Blobs that somebody was told of a moment ago, or pushed, are left. Returns of how many.
 */
export function endGrace(
  tx: Tx,
  { blobs, due, clock, promiseMs }: LedgerParts,
  limit: number,
): { ended: number; keptUntilMs: number } {
  const now = clock.now();
  const promised = now - promiseMs;
  const ended = blobs.unused(now, promised, limit);
  blobs.renew(tx, ended, 0);
  for (const digest of ended) blobs.unlinkFrom(tx, digest, now);
  const latest = blobs.latestUnused(now, promised);
  return {
    ended: ended.length + due.hasten(tx, purgeJob, limit),
    keptUntilMs: latest === undefined ? 0 : latest + promiseMs,
  };
}

/**
 * Unlinks those of the blobs that are due which still nothing references. As long as there are manifests that may name
 * them, all are left, and come again.
 */
export function unlinkUnused(tx: Tx, parts: LedgerParts, repository: RepositoryName, rows: DueRow[]): void {
  const { blobs, manifests, clock, graceMs, tally } = parts;
  if (hasUnread(parts)) return;
  for (const { id: digest } of rows) {
    const keepUntil = (blobs.read(digest)?.renewedAtMs ?? 0) + graceMs;
    if (manifests.isReferenced(digest)) blobs.unlinkFrom(tx, digest, null);
    else if (keepUntil > clock.now()) blobs.unlinkFrom(tx, digest, keepUntil);
    else {
      unlink(tx, parts, digest, registryItself);
      tally.add({ links: 1 });
      logDeletion({ what: "blob", reason: "nothing referenced it for GC_GRACE", repository, digest });
    }
  }
}

const everyTable = [
  "manifests",
  "manifest_bytes",
  "manifest_references",
  "deleted_manifests",
  "deleted_tags",
  "tags",
  "blobs",
];

/** What is to be done later about manifests, tags and blobs; all of it is void without them. */
const jobsOfContent = [purgeJob, untaggedJob, untaggedScanJob, historyJob, rebuildJob, scrubJob];

/** Takes everything out of a ledger, and marks every row that KV may have of it. */
export function removeEverything(tx: Tx, { outbox, clock }: LedgerParts): void {
  const now = clock.now();
  outbox.markAll(tx, "manifest", "SELECT digest AS id FROM manifests");
  outbox.markAll(tx, "tag", "SELECT tag AS id FROM tags");
  outbox.markAll(tx, "blob", "SELECT digest AS id FROM blobs WHERE replicated = 1");
  tx.write("INSERT OR REPLACE INTO due (kind, id, at) SELECT 'release', digest, ? FROM blobs", now);
  tx.write("DELETE FROM due WHERE kind IN (SELECT value FROM json_each(?))", JSON.stringify(jobsOfContent));
  for (const table of everyTable) {
    tx.write(`DELETE FROM ${table}`);
  }
}

/** Tells the shards what the repository holds no longer. */
export async function release(
  env: Env,
  { storage, due }: LedgerParts,
  repository: RepositoryName,
  rows: DueRow[],
): Promise<void> {
  const byShard = Map.groupBy(rows, (row) => shardOf(env, row.id as Digest));
  for (const [shard, group] of byShard) {
    const digests = group.map((row) => row.id as Digest);
    await namedShardStub(env, shard).release(repository, digests);
    transaction(storage, (tx) => {
      for (const digest of digests) due.clear(tx, "release", digest);
    });
  }
}
