/**
 * Pulling and deleting blobs.
 */
import { meter } from "../metrics/meter.ts";
import type { Digest } from "../oci/digest.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { ByteRange } from "../oci/range.ts";
import type { BlobLocation } from "../storage/replica.ts";
import { noteDeletion } from "./deletions.ts";
import { smallBlobBytes } from "./isolate-cache.ts";
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
      : await replica.blob(repository, digest);
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
 * Reads a blob that was found, or a range of it.
 *
 * The bucket never decides that a blob is gone: where it has nothing under the key, the ledger and then the digest's
 * shard are asked for a better one. Errors: `BLOB_UNKNOWN` when the ledger has given it up meanwhile; `UNAVAILABLE` when
 * none of them has the bytes.
 */
export async function readBlob(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
  range: ByteRange | undefined,
): Promise<Result<{ body: ReadableStream | Uint8Array }>> {
  const { cache, bucket } = registry;
  const { digest } = location;
  const kept = cache.smallBlob(digest);
  meter.add("stowage_cache_lookups_total", ["blobs", kept === undefined ? "miss" : "hit"]);
  if (kept !== undefined) {
    const { offset, length } = range ?? { offset: 0, length: kept.byteLength };
    return { ok: true, body: kept.subarray(offset, offset + length) };
  }
  const found = await bucket.read(location.key, range);
  const read: Result<{ body: ReadableStream }> =
    found === undefined
      ? await readElsewhere(registry, repository, location, range)
      : { ok: true, body: found };
  if (!read.ok) return read;
  const { body } = read;
  if (range !== undefined || location.sizeBytes > smallBlobBytes) return { ok: true, body };
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  cache.setSmallBlob(digest, bytes);
  return { ok: true, body: bytes };
}

async function readElsewhere(
  registry: Registry,
  repository: RepositoryName,
  stale: BlobLocation,
  range: ByteRange | undefined,
): Promise<Result<{ body: ReadableStream }>> {
  const { cache, bucket } = registry;
  const { digest } = stale;
  cache.forgetBlob(repository, digest);
  const ledger = registry.ledger(repository);
  const inLedger = await ledger.locateBlob(digest, false);
  if (inLedger === undefined) return failure("BLOB_UNKNOWN", { digest });
  if (inLedger.key !== stale.key) {
    const body = await bucket.read(inLedger.key, range);
    if (body !== undefined) {
      await ledger.repairReplica(digest);
      return { ok: true, body };
    }
  }
  const inShard = await registry.shard(digest).locate(digest);
  if (inShard === undefined || inShard.key === inLedger.key) return failure("UNAVAILABLE", { digest });
  const body = await bucket.read(inShard.key, range);
  if (body === undefined) return failure("UNAVAILABLE", { digest });
  await ledger.relocateBlob(inShard);
  return { ok: true, body };
}

/** Unlinks a blob from a repository. Errors: `BLOB_UNKNOWN`, `BLOB_REFERENCED`, `NAME_UNKNOWN`. */
export async function deleteBlob(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
): Promise<Result> {
  const deleted = await registry.ledger(repository).deleteBlob(digest, origin);
  noteDeletion(registry, repository, digest, deleted);
  return deleted;
}
