/**
 * Putting an upload together under its key, and making sure that it is what the client says.
 */
import { algorithmOf, type Digest } from "../../oci/digest.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { hashStored } from "../scrub/verify.ts";
import { storePart, type UploadParts } from "./append.ts";
import type { RunningHash } from "./running-hash.ts";

/**
 * Stores the whole upload under its key and verifies it. May be repeated after it was cut short anywhere.
 *
 * Errors: `DIGEST_INVALID` when the content has another digest; what is stored is then worthless.
 *
 * @throws whatever the bucket throws; it may be called again.
 */
export async function assemble(
  parts: UploadParts,
  digest: Digest,
  hash: RunningHash | undefined,
): Promise<Result> {
  const { store, bucket } = parts;
  const { key, uploadId, offset } = store.read();
  if (uploadId === null) {
    const written = await bucket.write(key, store.readWholeTail(), digest);
    return written === "stored" ? { ok: true } : failure("DIGEST_INVALID", { digest });
  }
  const hashed = hash?.covers(offset) && hash.isOf(algorithmOf(digest)) ? hash.finish() : undefined;
  if (hashed !== undefined && hashed !== digest)
    return failure("DIGEST_INVALID", { digest, computed: hashed });

  const tail = store.readWholeTail();
  if (tail.byteLength > 0) await storePart(parts, tail);
  const completed = await bucket.completeMultipart({ key, uploadId }, store.parts());
  if (completed === "unknown" && (await bucket.sizeOf(key)) !== offset) {
    throw new Error("the multipart upload is gone, and nothing of its size is stored under its key");
  }
  if (hashed !== undefined) return { ok: true };
  // The object forgot the running hash between two requests.
  const computed = await hashStored(bucket, { digest, key, sizeBytes: offset });
  if (computed === undefined) throw new Error("what was just put together cannot be read");
  return computed === digest ? { ok: true } : failure("DIGEST_INVALID", { digest, computed });
}
