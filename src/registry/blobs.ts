/**
 * Pulling and deleting blobs.
 */

import { log } from "../log.ts";
import { meter } from "../metrics/meter.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { ByteRange } from "../oci/http.ts";
import type { Precondition } from "../oci/preconditions.ts";
import { algorithmOf, type Digest, digestOfContent, type RepositoryName } from "../oci/reference.ts";
import { type Bucket, BucketFailed } from "../storage/bucket.ts";
import type { FileRange } from "../storage/disk-files.ts";
import { type RangePiece, readRanges } from "../storage/read-ranges.ts";
import type { BlobLocation } from "../storage/replica.ts";
import { kibibyte } from "../units.ts";
import { smallBlobBytes } from "./caches.ts";
import type { Registry } from "./registry.ts";

/**
 * Finds a blob that the repository links. Error: `BLOB_UNKNOWN`, which only the ledger decides.
 *
 * `mustBeCurrent`: the client may rely on the answer and not upload the blob. So the ledger is asked, and renews the
 * blob's grace.
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
 * Reads a blob that was found, or a range of it. A small blob is read whole, verified and cached.
 *
 * The bucket never decides that a blob does not exist: if it does not have the bytes under the key, the ledger and then
 * the digest's shard are asked for another key. Errors: `BLOB_UNKNOWN` if the ledger has unlinked the blob meanwhile;
 * `UNAVAILABLE` if the bytes are not found under any of these keys.
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

/** From how many bytes on files are named instead of read: to open them elsewhere takes a moment, too. */
const leastNamedBytes = 512 * kibibyte;

/**
 * Finds the files that have a blob, or a range of it. `undefined` where {@link readBlob} is to be used instead: the bytes
 * are few, or not in files of this machine. Errors: those of {@link readBlob}.
 */
export async function findBlobFiles(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
  range: ByteRange | undefined,
): Promise<Result<{ files: FileRange[] }> | undefined> {
  const { bucket } = registry;
  if (bucket.findFiles === undefined || (range?.length ?? location.sizeBytes) < leastNamedBytes)
    return undefined;
  const findFiles = bucket.findFiles.bind(bucket);
  const found = await readAnywhere(registry, repository, location, (each) => findFiles(each, range));
  return found.ok ? { ok: true, files: found.body } : found;
}

/**
 * Reads ranges of a blob that was found. They must not overlap, and are read in the order given. See {@link readBlob}.
 *
 * @returns pieces of the ranges, each of which is valid only until the next one is requested; if the bucket fails
 *   meanwhile, the iteration throws BucketFailed
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

/** Reads a small blob whole, verifies and caches it. */
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

/** The bytes of a blob; `undefined` if the stored bytes have another digest. */
async function readVerified(bucket: Bucket, location: BlobLocation): Promise<Uint8Array | undefined> {
  const body = await bucket.read(location);
  if (body === undefined) return undefined;
  const buffer = await new Response(body).arrayBuffer().catch((cause) => {
    throw new BucketFailed(`read: ${cause}`, { cause });
  });
  const bytes = new Uint8Array(buffer);
  return digestOfContent(bytes, algorithmOf(location.digest)) === location.digest ? bytes : undefined;
}

/** Reads a blob from its last known location, or else from the location that the ledger or the shard gives. */
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
  // The shard checks the stored bytes. If they are wrong, the next push of the digest replaces them.
  await shard.verify(digest);
  return failure("UNAVAILABLE", { digest });
}

/** Tries a repair, and ignores failure: the bytes were found, and the next pull or a scrub tries again. */
function leaveToScrub(error: unknown): void {
  log("warn", "location not corrected", { error: String(error) });
}

/** Unlinks a blob from a repository. Errors: `BLOB_UNKNOWN`, `BLOB_REFERENCED`, `NAME_UNKNOWN`. */
export async function deleteBlob(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
  precondition: Precondition | undefined,
): Promise<Result> {
  const deleted = await registry.ledger(repository).deleteBlob(digest, origin, precondition);
  registry.cache.noteDeletionResult(repository, digest, deleted);
  return deleted;
}
