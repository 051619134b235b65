/** Blobs to push: large, random, and of almost no cost to the client that sends them. */
import { createHash, randomBytes } from "node:crypto";

/** One mebibyte, in bytes. */
export const mebibyte = 1024 * 1024;

const saltBytes = 16;
const block = randomBytes(mebibyte);

/** A blob: one block over and over, after a first one that no other blob has. */
export interface Payload {
  sizeBytes: number;
  digest: string;
  /** The bytes, in blocks of 1 MiB. */
  blocks(): Generator<Buffer>;
}

/** Makes a blob of whole mebibytes, whose digest no other has. */
export function newPayload(mebibytes: number): Payload {
  const first = Buffer.concat([randomBytes(saltBytes), block.subarray(saltBytes)]);
  const blocks = function* () {
    for (let index = 0; index < mebibytes; index++) yield index === 0 ? first : block;
  };
  const hash = createHash("sha256");
  for (const bytes of blocks()) hash.update(bytes);
  return { sizeBytes: mebibytes * mebibyte, digest: `sha256:${hash.digest("hex")}`, blocks };
}
