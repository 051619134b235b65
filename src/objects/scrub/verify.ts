/**
 * Whether stored bytes are what they should be.
 */
import { createHash } from "node:crypto";
import { algorithmOf, type Digest, digestOf } from "../../oci/digest.ts";
import type { Bucket } from "../../storage/bucket.ts";
import { readPieces } from "../../storage/read-pieces.ts";
import type { BlobLocation } from "../../storage/replica.ts";

/** Hashes what is stored under a key; `undefined` where nothing is. */
export async function hashStored(bucket: Bucket, key: string, digest: Digest): Promise<Digest | undefined> {
  const body = await bucket.read(key);
  if (body === undefined) return undefined;
  const hash = createHash(algorithmOf(digest));
  for await (const piece of readPieces(body)) hash.update(piece);
  return digestOf(algorithmOf(digest), hash.digest("hex"));
}

/** Reads the bytes of a blob and compares size and hash. Returns what is wrong with them; `undefined`: nothing. */
export async function faultOf(bucket: Bucket, blob: BlobLocation): Promise<string | undefined> {
  const sizeBytes = await bucket.sizeOf(blob.key);
  if (sizeBytes === undefined) return "the store does not have the bytes";
  if (sizeBytes !== blob.sizeBytes)
    return `the store has ${sizeBytes} bytes, and should have ${blob.sizeBytes}`;
  const computed = await hashStored(bucket, blob.key, blob.digest);
  return computed === blob.digest ? undefined : `the bytes are those of ${computed}`;
}
