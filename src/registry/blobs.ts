/**
 * Pulling and deleting blobs.
 */

import { log } from "../log.ts";
import { meter } from "../metrics/meter.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { ByteRange } from "../oci/http.ts";
import { algorithmOf, type Digest, digestOfContent, type RepositoryName } from "../oci/reference.ts";
import { type Bucket, BucketFailed } from "../storage/bucket.ts";
import { type RangePiece, readRanges } from "../storage/read-ranges.ts";
import type { BlobLocation } from "../storage/replica.ts";
import { smallBlobBytes } from "./caches.ts";
import type { Registry } from "./registry.ts";

/**
 * Finds a blob that the repository links. Error: `BLOB_UNKNOWN`, which only the ledger decides.
 *
 * `mustBeCurrent`: the caller will rely on the answer, as a client that may push does when it is told not to upload;
 * the ledger is asked, and keeps the blob for another while.
 */
export async function findBlob(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  mustBeCurrent: boolean,
): Promise<Result<{ location: BlobLocation }>> {
  const { cache, replica } = registry;
  if (!mustBeCurrent) {
    const remembered = cache.blob(repository, digest);
    meter.add("stowage_cache_lookups_total", ["locations", remembered === undefined ? "miss" : "hit"]);
    if (remembered !== undefined) return { ok: true, location: remembered };
    const replicated = cache.wasDeleted(repository, digest)
      ? undefined
      : await replica?.blob(repository, digest);
    if (replicated !== undefined) {
      cache.setBlob(repository, replicated);
      return { ok: true, location: replicated };
    }
  }
  const location = await registry.ledger(repository).locateBlob(digest, mustBeCurrent);
  if (location === undefined) return failure("BLOB_UNKNOWN", { digest });
  cache.setBlob(repository, location);
  return { ok: true, location };
}

/**
 * Reads a blob that was found, or a range of it. A small one is read whole and compared with its digest, and kept.
 *
 * The bucket never decides that a blob is gone: where it does not have the bytes under the key, the ledger and then the
 * digest's shard are asked for a better one. Errors: `BLOB_UNKNOWN` when the ledger has given it up meanwhile;
 * `UNAVAILABLE` when none of them has the bytes.
 */
export async function readBlob(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
  range: ByteRange | undefined,
): Promise<Result<{ body: ReadableStream | Uint8Array }>> {
  if (location.sizeBytes > smallBlobBytes) {
    return readAnywhere(registry, repository, location, (each) => registry.bucket.read(each, range));
  }
  const whole = await readSmallBlob(registry, repository, location);
  if (!whole.ok || range === undefined) return whole;
  return { ok: true, body: whole.body.subarray(range.offset, range.offset + range.length) };
}

/**
 * Reads ranges of a blob that was found, which do not overlap, in the order given. See {@link readBlob}.
 *
 * @returns pieces of the ranges, each of which is good only until the next one is asked for; where the bucket fails
 *   meanwhile, they end with BucketFailed
 */
export async function readBlobRanges(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
  ranges: readonly ByteRange[],
): Promise<Result<{ pieces: AsyncIterable<RangePiece> | Iterable<RangePiece> }>> {
  if (location.sizeBytes > smallBlobBytes) {
    const read = (each: BlobLocation) => readRanges(registry.bucket, each, ranges);
    const found = await readAnywhere(registry, repository, location, read);
    return found.ok ? { ok: true, pieces: found.body } : found;
  }
  const whole = await readSmallBlob(registry, repository, location);
  if (!whole.ok) return whole;
  const pieces = ranges.map(({ offset, length }, index) => ({
    index,
    bytes: whole.body.subarray(offset, offset + length),
  }));
  return { ok: true, pieces };
}

/** A small blob whole, compared with its digest, and kept. */
async function readSmallBlob(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
): Promise<Result<{ body: Uint8Array }>> {
  const { cache, bucket } = registry;
  const kept = cache.smallBlob(location.digest);
  meter.add("stowage_cache_lookups_total", ["blobs", kept === undefined ? "miss" : "hit"]);
  if (kept !== undefined) return { ok: true, body: kept };
  const read = await readAnywhere(registry, repository, location, (each) => readVerified(bucket, each));
  if (read.ok) cache.setSmallBlob(location.digest, read.body);
  return read;
}

/** The bytes of a blob; `undefined` when what is stored is something else. */
async function readVerified(bucket: Bucket, location: BlobLocation): Promise<Uint8Array | undefined> {
  const body = await bucket.read(location);
  if (body === undefined) return undefined;
  const buffer = await new Response(body).arrayBuffer().catch((cause) => {
    throw new BucketFailed(`read: ${cause}`, { cause });
  });
  const bytes = new Uint8Array(buffer);
  return digestOfContent(bytes, algorithmOf(location.digest)) === location.digest ? bytes : undefined;
}

/** Reads a blob from where it was last known to be, or else from where the ledger or the shard says that it is. */
async function readAnywhere<T>(
  registry: Registry,
  repository: RepositoryName,
  known: BlobLocation,
  read: (location: BlobLocation) => Promise<T | undefined>,
): Promise<Result<{ body: T }>> {
  const { digest } = known;
  const body = await read(known);
  if (body !== undefined) return { ok: true, body };
  registry.cache.forgetBlob(repository, digest);
  const ledger = registry.ledger(repository);
  const inLedger = await ledger.locateBlob(digest, false);
  if (inLedger === undefined) return failure("BLOB_UNKNOWN", { digest });
  if (inLedger.key !== known.key) {
    const body = await read(inLedger);
    if (body !== undefined) {
      await ledger.repairReplica({ kind: "blob", digest }).catch(leaveToScrub);
      return { ok: true, body };
    }
  }
  const shard = registry.shard(digest);
  const inShard = await shard.locate(digest);
  if (inShard !== undefined && inShard.key !== inLedger.key) {
    const body = await read(inShard);
    if (body !== undefined) {
      await ledger.relocateBlob(inShard).catch(leaveToScrub);
      return { ok: true, body };
    }
  }
  // The next push of the digest then replaces what is stored.
  await shard.verify(digest);
  return failure("UNAVAILABLE", { digest });
}

/** What cannot be put right now, the next pull tries again, or a scrub does: the bytes are there. */
function leaveToScrub(error: unknown): void {
  log("warn", "location not corrected", { error: String(error) });
}

/** Unlinks a blob from a repository. Errors: `BLOB_UNKNOWN`, `BLOB_REFERENCED`, `NAME_UNKNOWN`. */
export async function deleteBlob(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
): Promise<Result> {
  const deleted = await registry.ledger(repository).deleteBlob(digest, origin);
  registry.cache.noteDeletionResult(repository, digest, deleted);
  return deleted;
}
