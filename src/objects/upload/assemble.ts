/**
 * Assembles the bytes of an upload under its key and verifies them; or deletes them.
 */

import { failure, type Result } from "../../oci/errors.ts";
import { algorithmOf, type Digest } from "../../oci/reference.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { RunningHash } from "../running-hash.ts";
import { hashStored } from "../scrub/verify.ts";
import { storePart, type UploadParts } from "./append.ts";
import { isOver, type UploadRow } from "./store.ts";

/**
 * Stores the whole upload under its key and verifies it. If it is interrupted anywhere, it may be repeated. Returns the
 * hashes of its segments, if it has several.
 *
 * Errors: `DIGEST_INVALID` if the content has another digest; what is stored is then worthless.
 *
 * @throws whatever the bucket throws; it may be called again.
 */
export async function assemble(
  parts: UploadParts,
  digest: Digest,
  hash: RunningHash | undefined,
): Promise<Result<{ segments: Uint8Array | undefined }>> {
  const { store, bucket } = parts;
  const { key, uploadId, offset } = store.read();
  if (uploadId === null) {
    const written = await bucket.write(key, store.readWholeTail(), digest);
    return written === "stored" ? { ok: true, segments: undefined } : failure("DIGEST_INVALID", { digest });
  }
  const hashed = hash?.covers(offset) && hash.isOf(algorithmOf(digest)) ? hash.finish() : undefined;
  if (hashed !== undefined && hashed.digest !== digest)
    return failure("DIGEST_INVALID", { digest, computed: hashed.digest });

  const tail = store.readWholeTail();
  if (tail.byteLength > 0) await storePart(parts, tail);
  const completed = await bucket.completeMultipart({ key, uploadId }, store.parts());
  if (completed === "unknown" && (await bucket.sizeOf(key)) !== offset) {
    throw new Error("the multipart upload is gone, and nothing of its size is stored under its key");
  }
  if (hashed !== undefined) return { ok: true, segments: hashed.segments };
  // The object forgot the running hash between two requests.
  const computed = await hashStored(bucket, { digest, key, sizeBytes: offset });
  if (computed === undefined) throw new Error("what was just put together cannot be read");
  return computed.digest === digest
    ? { ok: true, segments: computed.segments }
    : failure("DIGEST_INVALID", { digest, computed: computed.digest });
}

/** Whether the session ended before its bytes were verified, and so must delete them itself. */
function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

/** Deletes the bytes of a cancelled or abandoned session. Verified bytes are deleted by the shard of their digest. */
export async function deleteGivenUp(row: UploadRow, bucket: Bucket): Promise<void> {
  if (!wasGivenUp(row)) return;
  const { key, uploadId } = row;
  if (uploadId !== null) await bucket.abortMultipart({ key, uploadId });
  await bucket.delete([key]);
}

/** Whether the session owns the bytes under this key: it is open, or was cancelled. */
export function ownsKey(row: UploadRow, key: string): boolean {
  return row.key === key && (!isOver(row) || wasGivenUp(row));
}
