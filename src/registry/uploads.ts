/**
 * Pushing blobs: sessions, chunks, whole bodies and mounts.
 */

import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { PatternSets } from "../oci/grant.ts";
import { type Digest, isDigestOfNothing, type RepositoryName } from "../oci/reference.ts";
import { commitBlob, commitMount } from "../rpc/commit-blob.ts";
import { scheduleDeletion } from "../rpc/founding.ts";
import { namedUploadStub, uploadPools } from "../rpc/stubs.ts";
import { type OpenSession, sendWrite, type Transfer, type UploadStatus } from "../rpc/upload-channel.ts";
import { type BlobBytes, BucketFailed, maxPutBytes } from "../storage/bucket.ts";
import { newBlobKey } from "../storage/keys.ts";
import { withTimeout } from "../timeout.ts";
import { nobody } from "./monitoring.ts";
import type { Registry } from "./registry.ts";
import type { NamedSession } from "./sessions.ts";
import { mapAtOnce } from "./walk.ts";

/** The body of a request, with its length and offset from the headers. */
export type UploadBody = {
  stream: ReadableStream | null;
  /** The length that the client announced by `Content-Length` or `Content-Range`, if any. */
  length: number | undefined;
  /** Whether HTTP enforces that length, as it does for `Content-Length`. */
  isLengthSure: boolean;
  /** The offset of the bytes in the blob, by `Content-Range`. */
  offset: number | undefined;
};

/** Appends a chunk. Errors as in objects/upload/append.ts. */
export function pushChunk(
  registry: Registry,
  session: NamedSession,
  body: UploadBody,
  origin: Origin,
  transfer: Transfer,
): Promise<Result<UploadStatus>> {
  return write(registry, session, body, undefined, origin, transfer);
}

/**
 * Closes a session: with the rest of its bytes, with none, or with the whole blob.
 *
 * A session without chunks that is closed with a whole body needs no `Upload` object: the bytes go straight to the
 * bucket, which verifies them.
 *
 * Errors: `DIGEST_INVALID`, which ends the upload; `BLOB_UPLOAD_UNKNOWN`; and those of {@link pushChunk}.
 */
export async function closeUpload(
  registry: Registry,
  session: NamedSession,
  body: UploadBody,
  digest: Digest,
  origin: Origin,
  transfer: Transfer,
): Promise<Result> {
  if (!isMonolithic(session, body, digest)) return write(registry, session, body, digest, origin, transfer);
  return pushWhole(registry, session, body, digest, origin);
}

function isMonolithic(session: NamedSession, body: UploadBody, digest: Digest): boolean {
  if (session.started || body.length === undefined || !body.isLengthSure) return false;
  if (body.length > maxPutBytes) return false;
  // If the bytes begin later, or there are none, the client did send chunks and still uses its first Location.
  return (body.offset ?? 0) === 0 && (body.length > 0 || isDigestOfNothing(digest));
}

function write(
  registry: Registry,
  { started, ...session }: NamedSession,
  body: UploadBody,
  digest: Digest | undefined,
  origin: Origin,
  transfer: Transfer,
): Promise<Result<UploadStatus>> {
  const { stream, length, offset } = body;
  const request = {
    session,
    started,
    origin,
    ...(length === undefined ? {} : { length }),
    ...(offset === undefined ? {} : { offset }),
    ...(digest === undefined ? {} : { digest }),
  };
  return sendWrite(registry.upload(session.id), request, stream, transfer);
}

/** Stores a whole body under a key of its own, verified by the bucket, and commits it. */
async function pushWhole(
  registry: Registry,
  session: NamedSession,
  { stream, length = 0 }: UploadBody,
  digest: Digest,
  origin: Origin,
): Promise<Result> {
  const { bucket, settings, clock } = registry;
  const key = newBlobKey();
  await scheduleDeletion(registry.objects, digest, key, clock.now() + settings.uploadTtlMs);
  const body = fixed(stream, length);
  try {
    const stored = await bucket.write(key, body.bytes, digest);
    if (stored === "mismatch") return failure("DIGEST_INVALID", { digest });
  } catch (error) {
    // A put that fails because the body broke off looks like a failure of the bucket.
    if (error instanceof BucketFailed && (error.bodyBroke ?? (await body.broke()))) {
      return failure("BLOB_UPLOAD_INVALID", "the body broke off");
    }
    throw error;
  }
  return commitBlob(registry, session.repository, { digest, key, sizeBytes: length }, session.id, origin);
}

/** A body in the form that the bucket needs, and, after the put, whether the client broke it off. */
type FixedBody = { bytes: BlobBytes; broke: () => Promise<boolean> };

/** How long after a failed put its body may take to end, in milliseconds, if the same broken connection caused both. */
const breakMs = 100;

/** A stream of known length. The body of a request may no longer know its own. */
function fixed(stream: ReadableStream | null, length: number): FixedBody {
  if (length === 0) return { bytes: new Uint8Array(), broke: async () => false };
  if (stream === null) throw new TypeError("a length was announced for no body");
  const { readable, writable } = new FixedLengthStream(length);
  const isBroken = stream.pipeTo(writable, { preventCancel: true }).then(
    () => false,
    () => isErrored(stream),
  );
  return {
    bytes: { stream: readable, sizeBytes: length },
    broke: () => withTimeout(isBroken, breakMs, false),
  };
}

/** Whether a stream without a reader has broken, rather than only its reader. */
async function isErrored(stream: ReadableStream): Promise<boolean> {
  const reader = stream.getReader();
  const closed = reader.closed.then(
    () => false,
    () => true,
  );
  const answer = await Promise.race([closed, scheduler.wait(0).then(() => false)]);
  reader.releaseLock();
  return answer;
}

/** The status of an upload. Error: `BLOB_UPLOAD_UNKNOWN`. */
export function uploadStatus(registry: Registry, session: NamedSession): Promise<Result<UploadStatus>> {
  const { started, ...identity } = session;
  return registry.upload(session.id).status(identity, started);
}

/** Cancels an upload and deletes its bytes. Errors: `BLOB_UPLOAD_UNKNOWN`, `BLOB_UPLOAD_BUSY`. */
export function cancelUpload(registry: Registry, session: NamedSession): Promise<Result> {
  const { started, ...identity } = session;
  return registry.upload(session.id).cancel(identity, started);
}

/** The source of a mount: the repository that the client named, or any that matches the caller's patterns. */
export type MountSource = { from: RepositoryName } | { patternSets: PatternSets };

/**
 * Mounts a blob from another repository, which the caller may pull.
 *
 * Returns false if that is not possible, without the reason: the client then uploads, and learns nothing about the
 * source. A mount without `from` makes the same calls whether a source is found or not, and whoever else has the blob.
 */
export async function mountBlob(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  source: MountSource,
  origin: Origin,
): Promise<boolean> {
  const from =
    "from" in source
      ? source.from
      : await registry.shard(digest).mountSource(digest, source.patternSets, repository);
  // The shard may not know yet that a repository has unlinked the blob; the ledger does.
  const ledger = "from" in source ? registry.ledger(source.from) : registry.listedLedger(from ?? nobody);
  const location = await ledger.locateBlob(digest, true);
  if (from === undefined || location === undefined) return false;
  return (await commitMount(registry, repository, digest, from, origin)).ok;
}

/** How many sessions are listed at most. */
const mostListedUploads = 1000;

/**
 * The open sessions, oldest first. If each has an object of its own, only those that were reported to the catalog are
 * asked, which happens after half a minute. Bodies of known length that are sent in one piece have no session.
 */
export async function listOpenUploads(registry: Registry): Promise<OpenSession[]> {
  const pools = uploadPools(registry.objects);
  const holders =
    pools?.map((name) => namedUploadStub(registry.objects, name)) ??
    (await registry.catalog().openUploads(mostListedUploads)).map((id) => registry.upload(id));
  const found = await mapAtOnce(holders, (holder) => holder.openSessions(mostListedUploads));
  return found
    .flat()
    .sort((one, other) => (one.opened?.atMs ?? 0) - (other.opened?.atMs ?? 0))
    .slice(0, mostListedUploads);
}

/** Cancels a session of any account, and deletes its bytes. Error: `BLOB_UPLOAD_UNKNOWN`. */
export function dropUpload(registry: Registry, id: string): Promise<Result<{ repository: RepositoryName }>> {
  return registry.upload(id).drop(id);
}
