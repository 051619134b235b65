/**
 * Whether stored bytes are what they should be.
 */
import { createHash } from "node:crypto";
import { algorithmOf, type Digest, digestOf } from "../../oci/reference.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { readPieces } from "../../storage/streams.ts";

/** Hashes what is stored of a blob; `undefined` if nothing of its size is stored. */
export async function hashStored(bucket: Bucket, blob: BlobLocation): Promise<Digest | undefined> {
  const body = await bucket.read(blob);
  if (body === undefined) return undefined;
  const algorithm = algorithmOf(blob.digest);
  const hash = createHash(algorithm);
  for await (const piece of readPieces(body)) hash.update(piece);
  return digestOf(algorithm, hash.digest("hex"));
}

/**
 * Reads the bytes of a blob and compares size and hash. Returns what is wrong with them; `undefined`: nothing.
 *
 * @throws whatever the bucket throws: they could not be read, which says nothing of them.
 */
export async function faultOf(bucket: Bucket, blob: BlobLocation): Promise<string | undefined> {
  const sizeBytes = await bucket.sizeOf(blob.key);
  if (sizeBytes === undefined) return "the store does not have the bytes";
  if (sizeBytes !== blob.sizeBytes)
    return `the store has ${sizeBytes} bytes, and should have ${blob.sizeBytes}`;
  const computed = await hashStored(bucket, blob);
  if (computed === blob.digest) return undefined;
  return computed === undefined ? "the store does not have the bytes" : `the bytes are those of ${computed}`;
}

/** How many keys are tried to find out whether the bucket can be read at all. */
const keysToTry = 20;

/** Whether the bucket can read something other than this key just now. */
export async function canReadOthers(bucket: Bucket, key: string): Promise<boolean> {
  const page = await bucket.list(undefined, keysToTry).catch(() => undefined);
  for (const other of page?.objects ?? []) {
    if (other.key !== key && (await canRead(bucket, other.key))) return true;
  }
  return false;
}

async function canRead(bucket: Bucket, key: string): Promise<boolean> {
  try {
    const sizeBytes = await bucket.sizeOf(key);
    if (sizeBytes === undefined || sizeBytes === 0) return false;
    const body = await bucket.read({ key, sizeBytes }, { offset: 0, length: 1 });
    return body !== undefined && (await new Response(body).arrayBuffer()).byteLength === 1;
  } catch {
    return false;
  }
}
