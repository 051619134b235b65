/**
 * The deletion of bytes. A key first becomes a tombstone, which can no longer be adopted; then its bytes are deleted.
 * Tombstones are kept for a while, and the bytes are deleted once more when their tombstone is removed.
 */
import type { Digest } from "../../oci/reference.ts";
import { logDeletion } from "../../rpc/tally.ts";
import type { DueRow } from "../due.ts";
import type { Tx } from "../sql.ts";
import type { ShardParts } from "./parts.ts";
import { isTombstone, type ScheduledDeletion } from "./store.ts";

/** The job that gives up a digest without holders. */
export const dropJob = "drop";

/** Bytes to delete. If their size is not given, the bucket is asked for it before they are deleted. */
type Unwanted = { key: string; digest: Digest; sizeBytes?: number };

/** Makes a key a tombstone: its bytes will be deleted, and can no longer be adopted. */
export function writeTombstone(
  tx: Tx,
  { store, clock }: ShardParts,
  { key, digest, sizeBytes }: Unwanted,
  reason: string,
  delayMs: number,
): void {
  const dueAt = clock.now() + delayMs;
  const deletion = { digest, reason, sizeBytes: sizeBytes ?? null, dueAt };
  store.scheduleDeletion(tx, key, { ...deletion, state: "tombstone" });
  store.forgetBytes(tx, key);
}

/** Gives up digests without holders. Until then, their bytes can still be leased. */
export function dropUnheld(tx: Tx, shard: ShardParts, rows: DueRow<Digest>[]): void {
  const { store, due } = shard;
  for (const { id: digest } of rows) {
    due.clear(tx, dropJob, digest);
    const blob = store.blob(digest);
    if (blob === undefined || store.holders(digest, 1).length > 0) continue;
    store.deleteBlob(tx, digest);
    writeTombstone(tx, shard, blob, "no repository holds it", 0);
  }
}

/**
 * Ends the delay of digests without holders, and of tombstones, so that they are deleted now. Ends at most `limit` of
 * each; returns the total.
 *
 * On one machine this includes uploads that the previous process left behind: they cannot be in progress.
 */
export function endDelays(tx: Tx, { due, env, settings, since }: ShardParts, limit: number): number {
  const cutShort =
    env.BLOB_FSYNC === undefined ? 0 : due.hasten(tx, "doom", limit, since + settings.uploadTtlMs - 1);
  return cutShort + due.hasten(tx, dropJob, limit) + due.hasten(tx, "delete", limit);
}

/** Turns keys of interrupted uploads into tombstones, unless they have become the content of a digest. */
export function endCutShort(tx: Tx, shard: ShardParts, rows: DueRow[]): void {
  const { tally, settings } = shard;
  for (const { id: key } of rows) {
    const deletion = pendingDeletion(tx, shard, key);
    if (deletion?.state !== "doomed") continue;
    const unwanted = { key, digest: deletion.digest };
    writeTombstone(tx, shard, unwanted, "its upload was cut short", settings.deleteDelayMs);
    tally.add({ uploads: 1 });
  }
}

/** A key that nothing may adopt any more. */
type Tombstone = { key: string } & ScheduledDeletion;

/** The deletion of a key, if it is still to be deleted. The content of a digest is never deleted, whatever was due. */
function pendingDeletion(tx: Tx, { store }: ShardParts, key: string): ScheduledDeletion | undefined {
  const deletion = store.scheduledDeletion(key);
  if (deletion === undefined || !store.isContent(key)) return deletion;
  store.cancelDeletion(tx, key);
  return undefined;
}

/** The tombstones among the keys of rows. */
function tombstonesOf(shard: ShardParts, rows: DueRow[]): Tombstone[] {
  return shard.transaction((tx) =>
    rows.flatMap(({ id: key }) => {
      const deletion = pendingDeletion(tx, shard, key);
      return deletion !== undefined && isTombstone(deletion) ? [{ key, ...deletion }] : [];
    }),
  );
}

/** Deletes the bytes of tombstones. */
export async function deleteTombstoned(shard: ShardParts, rows: DueRow[]): Promise<void> {
  const { bucket, store, clock, settings, tally } = shard;
  const tombstones = tombstonesOf(shard, rows);
  // The size of damaged bytes may be unknown. They are deleted all the same.
  const sizes = await Promise.all(
    tombstones.map(({ key, sizeBytes }) => sizeBytes ?? bucket.sizeOf(key).catch(() => 0)),
  );
  if (tombstones.length > 0) await bucket.delete(tombstones.map(({ key }) => key));
  for (const [index, { key, digest, reason }] of tombstones.entries()) {
    const sizeBytes = sizes[index];
    // An upload may have been interrupted before its first byte was stored.
    if (sizeBytes === undefined) continue;
    tally.add({ blobs: 1, bytes: sizeBytes });
    logDeletion({ what: "blob bytes", reason, digest, key, sizeBytes });
  }
  shard.transaction((tx) => {
    const dueAt = clock.now() + settings.tombstoneTtlMs;
    for (const { key, ...deletion } of tombstones)
      store.scheduleDeletion(tx, key, { ...deletion, state: "deleted", dueAt });
  });
}

/** Forgets tombstones. Their bytes are deleted once more, as a write that seemed to fail may have landed since. */
export async function forgetTombstones(shard: ShardParts, rows: DueRow[]): Promise<void> {
  const { bucket, store } = shard;
  const keys = tombstonesOf(shard, rows).map(({ key }) => key);
  if (keys.length > 0) await bucket.delete(keys);
  shard.transaction((tx) => {
    for (const key of keys) store.cancelDeletion(tx, key);
  });
}
