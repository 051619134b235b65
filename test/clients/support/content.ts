/** Bytes to push: random, but the same for the same seed, and different at every offset. */
import { createCipheriv, createHash } from "node:crypto";

const blockBytes = 16;
const pieceBytes = 4 * 1024 * 1024;

/** A blob of any size, of which no more is in memory than what is asked for. */
export class Content {
  readonly sizeBytes: number;
  readonly #key: Buffer;

  /** Content of another seed is other content. */
  constructor(seed: string, sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#key = createHash("sha256").update(seed).digest().subarray(0, blockBytes);
  }

  /** The bytes from `offset`, cut off at the blob's end. */
  read(offset: number, length: number): Buffer {
    const end = Math.min(offset + length, this.sizeBytes);
    const before = offset % blockBytes;
    const counter = Buffer.alloc(blockBytes);
    counter.writeBigUInt64BE(BigInt((offset - before) / blockBytes), blockBytes / 2);
    const cipher = createCipheriv("aes-128-ctr", this.#key, counter);
    return cipher.update(Buffer.alloc(Math.max(0, end - offset) + before)).subarray(before);
  }

  /** The bytes from `offset` in pieces of 4 MiB. */
  *pieces(offset = 0, end = this.sizeBytes): Generator<Buffer> {
    for (let at = offset; at < end; at += pieceBytes) yield this.read(at, Math.min(pieceBytes, end - at));
  }

  /** `sha256:…` of all of it. */
  digest(): string {
    const hash = createHash("sha256");
    for (const piece of this.pieces()) hash.update(piece);
    return `sha256:${hash.digest("hex")}`;
  }
}
