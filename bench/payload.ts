/** Blobs to push: random, and of almost no cost to the client that sends them. */
import { createHash, randomBytes } from "node:crypto";

/** One mebibyte, in bytes. */
export const mebibyte = 1024 * 1024;

const saltBytes = 16;
const block = randomBytes(mebibyte);

/** A blob: one block over and over, after a first one that no other blob has. */
export interface Payload {
  sizeBytes: number;
  digest: string;
  /** The bytes, in blocks of at most 1 MiB. */
  blocks(): Generator<Buffer>;
}

/** Makes a blob of this size, whose digest no other has; at least 16 bytes. */
export function payloadOf(sizeBytes: number): Payload {
  const first = Buffer.concat([randomBytes(saltBytes), block.subarray(saltBytes)]);
  const blocks = function* () {
    for (let offset = 0; offset < sizeBytes; offset += mebibyte) {
      yield (offset === 0 ? first : block).subarray(0, sizeBytes - offset);
    }
  };
  const hash = createHash("sha256");
  for (const bytes of blocks()) hash.update(bytes);
  return { sizeBytes, digest: `sha256:${hash.digest("hex")}`, blocks };
}

/** Makes a blob of whole mebibytes, whose digest no other has. */
export function newPayload(mebibytes: number): Payload {
  return payloadOf(mebibytes * mebibyte);
}
