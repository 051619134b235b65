/**
 * Whether stored bytes are what they should be.
 */
import type { ByteRange } from "../../oci/http.ts";
import { algorithmOf, hexOf } from "../../oci/reference.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { readPieces } from "../../storage/streams.ts";
import { RunningHash, segmentBytes } from "../running-hash.ts";

/** The digest of bytes, and the hashes of their segments; see {@link RunningHash}. */
export type Hashed = ReturnType<RunningHash["finish"]>;

/** Hashes what is stored of a blob, or a range of it; `undefined` if nothing of its size is stored. */
export async function hashStored(
  bucket: Bucket,
  blob: BlobLocation,
  range?: ByteRange,
): Promise<Hashed | undefined> {
  const body = await bucket.read(blob, range);
  if (body === undefined) return undefined;
  const hash = new RunningHash(algorithmOf(blob.digest));
  for await (const piece of readPieces(body)) hash.update(piece);
  return hash.finish();
}

/** What is wrong with bytes, or if nothing is, the hashes of their segments. */
type Inspected = { fault: string } | { fault: undefined; segments: Uint8Array | undefined };

const missing = { fault: "the store does not have the bytes" };

/** What the size of the stored bytes says against them. */
async function wrongSize(bucket: Bucket, blob: BlobLocation): Promise<{ fault: string } | undefined> {
  const sizeBytes = await bucket.sizeOf(blob.key);
  if (sizeBytes === undefined) return missing;
  if (sizeBytes === blob.sizeBytes) return undefined;
  return { fault: `the store has ${sizeBytes} bytes, and should have ${blob.sizeBytes}` };
}

/**
 * Reads all bytes of a blob and compares size and hash.
 *
 * @throws whatever the bucket throws: they could not be read, which says nothing of them.
 */
export async function inspect(bucket: Bucket, blob: BlobLocation): Promise<Inspected> {
  const wrong = await wrongSize(bucket, blob);
  if (wrong !== undefined) return wrong;
  const computed = await hashStored(bucket, blob);
  if (computed === undefined) return missing;
  const { digest, segments } = computed;
  return digest === blob.digest
    ? { fault: undefined, segments }
    : { fault: `the bytes are those of ${digest}` };
}

/** What is wrong with the bytes of a blob, as {@link inspect} finds it; `undefined`: nothing. */
export async function faultOf(bucket: Bucket, blob: BlobLocation): Promise<string | undefined> {
  return (await inspect(bucket, blob)).fault;
}

/** How many segments a blob has. */
export function segmentCount({ sizeBytes }: BlobLocation): number {
  return Math.max(1, Math.ceil(sizeBytes / segmentBytes));
}

/** How many bytes a hash has, by the algorithm of the digest. */
function hashBytesOf({ digest }: BlobLocation): number {
  return hexOf(digest).length / 2;
}

/** Whether these can be the hashes of the segments of a blob. */
export function areSegmentsOf(blob: BlobLocation, segments: Uint8Array): boolean {
  return segments.byteLength === segmentCount(blob) * hashBytesOf(blob);
}

/**
 * Reads a segment of a blob, and compares it with its hash among those of all segments. Returns what is wrong with it;
 * `undefined`: nothing.
 *
 * @throws whatever the bucket throws: it could not be read, which says nothing of it.
 */
export async function faultOfSegment(
  bucket: Bucket,
  blob: BlobLocation,
  segments: Uint8Array,
  index: number,
): Promise<string | undefined> {
  const wrong = await wrongSize(bucket, blob);
  if (wrong !== undefined) return wrong.fault;
  const offset = index * segmentBytes;
  const length = Math.min(segmentBytes, blob.sizeBytes - offset);
  const computed = await hashStored(bucket, blob, { offset, length });
  if (computed === undefined) return missing.fault;
  const hashBytes = hashBytesOf(blob);
  const expected = Buffer.from(segments.subarray(index * hashBytes, (index + 1) * hashBytes)).toString("hex");
  return hexOf(computed.digest) === expected
    ? undefined
    : `of its bytes, those from ${offset} to ${offset + length - 1} are others`;
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
