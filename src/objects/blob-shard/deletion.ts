/**
 * How bytes go: a key that is to be deleted becomes a tombstone, which nothing adopts any more, before its bytes are
 * deleted. Tombstones are kept for a while, and the bytes deleted once more when they go.
 */
import type { Digest } from "../../oci/digest.ts";
import type { DueRow } from "../due.ts";
import { logDeletion } from "../tally.ts";
import type { ShardParts } from "./parts.ts";
import { isGivenUp, type StrayKey } from "./store.ts";

/** The job of the `due` table that gives up a digest which nobody holds. */
export const dropJob = "drop";

/** Bytes that are going to be deleted. Without a size, the bucket is asked for it before. */
type Burial = { key: string; digest: string; sizeBytes?: number };

/** Writes down that a key's bytes are going to be deleted, so that nothing adopts them. In the caller's transaction. */
export function bury(
  { store, clock }: ShardParts,
  { key, digest, sizeBytes }: Burial,
  reason: string,
  delayMs: number,
): void {
  store.setStrayKey(key, {
    digest: digest as Digest,
    state: "tombstone",
    reason,
    sizeBytes: sizeBytes ?? null,
    dueAt: clock.now() + delayMs,
  });
  store.clearReadFailures(key);
}

/** Gives up digests that nobody holds. Until now their bytes could be lent again. */
export function dropUnheld(shard: ShardParts, rows: DueRow[]): void {
  const { store, due } = shard;
  for (const { id: digest } of rows) {
    due.clear(dropJob, digest);
    const blob = store.blob(digest);
    if (blob === undefined || store.holders(digest, 1).length > 0) continue;
    store.deleteBlob(digest);
    bury(shard, blob, "no repository holds it", 0);
  }
}

/**
 * Ends the time that is left to what nobody holds, and to what was given up: it goes now. Of at most so many of each; in
 * the caller's transaction. Returns of how many.
 *
 * On one machine so do the keys of uploads that the process before this one was killed in: they cannot be under way.
 */
export function endDelays({ due, env, settings, since }: ShardParts, limit: number): number {
  const cutShort =
    env.BLOB_FSYNC === undefined ? 0 : due.hasten("doom", limit, since + settings.uploadTtlMs - 1);
  return cutShort + due.hasten(dropJob, limit) + due.hasten("delete", limit);
}

/** Gives up keys of uploads that were cut short, unless they have become the content of a digest. */
export function buryDoomed(shard: ShardParts, rows: DueRow[]): void {
  const { tally, settings } = shard;
  for (const { id: key } of rows) {
    const stray = strayKey(shard, key);
    if (stray?.state !== "doomed") continue;
    bury(shard, { key, digest: stray.digest }, "its upload was cut short", settings.deleteDelayMs);
    tally.add({ uploads: 1 });
  }
}

/** A key that was given up. */
type Tombstone = { key: string } & StrayKey;

/** What is known of a stray key. Whatever else was due: what is a digest's content is none, and is not deleted. */
function strayKey({ store }: ShardParts, key: string): StrayKey | undefined {
  const stray = store.strayKey(key);
  if (stray === undefined || !store.isContent(key)) return stray;
  store.clearStrayKey(key);
  return undefined;
}

/** The tombstones among the keys of rows. */
function tombstonesOf(shard: ShardParts, rows: DueRow[]): Tombstone[] {
  return rows.flatMap(({ id: key }) => {
    const stray = strayKey(shard, key);
    return stray !== undefined && isGivenUp(stray) ? [{ key, ...stray }] : [];
  });
}

/** Deletes the bytes of tombstones. */
export async function deleteBuried(shard: ShardParts, rows: DueRow[]): Promise<void> {
  const { bucket, store, clock, settings, tally } = shard;
  const buried = tombstonesOf(shard, rows);
  // What is damaged may have no size that can be told, and goes all the same.
  const sizes = await Promise.all(
    buried.map(({ key, sizeBytes }) => sizeBytes ?? bucket.sizeOf(key).catch(() => 0)),
  );
  if (buried.length > 0) await bucket.delete(buried.map(({ key }) => key));
  for (const [index, { key, digest, reason }] of buried.entries()) {
    const sizeBytes = sizes[index];
    // An upload may have been cut short before its first byte was stored.
    if (sizeBytes === undefined) continue;
    tally.add({ blobs: 1, bytes: sizeBytes });
    logDeletion({ what: "blob bytes", reason, digest, key, sizeBytes });
  }
  shard.transaction(() => {
    const dueAt = clock.now() + settings.tombstoneTtlMs;
    for (const { key, ...stray } of buried) store.setStrayKey(key, { ...stray, state: "deleted", dueAt });
  });
}

/** A write that the bucket was thought to have failed may have landed since: bytes are deleted once more. */
export async function forgetTombstones(shard: ShardParts, rows: DueRow[]): Promise<void> {
  const { bucket, store } = shard;
  const keys = tombstonesOf(shard, rows).map(({ key }) => key);
  if (keys.length > 0) await bucket.delete(keys);
  shard.transaction(() => {
    for (const key of keys) store.clearStrayKey(key);
  });
}
