/**
 * Cuts a stream of bytes into the equal parts of a multipart upload.
 *
 * At most one part is being stored while the next one fills.
 */
import { giveBuffer, takeSpareBuffer } from "./part-buffers.ts";

/** Stores a full part. Called for one part at a time, in order. */
export type StorePart = (bytes: Uint8Array) => Promise<void>;

/** Writes to one upload for the time of one request. {@link close} must be called in the end. */
export class PartWriter {
  readonly #partBytes: number;
  readonly #budgetBytes: number;
  readonly #storePart: StorePart;
  #part: Uint8Array;
  #spare: Uint8Array | undefined;
  #filled: number;
  #keptTail: number;
  #storing: Promise<unknown> | undefined;
  #failure: unknown;

  /**
   * `part`: a buffer of the size of a part, which is given back, also if this throws; `readTail` fills in the bytes that
   * earlier requests left after the last part.
   *
   * @throws whatever `readTail` throws
   */
  constructor(options: {
    part: Uint8Array;
    budgetBytes: number;
    readTail: (into: Uint8Array) => number;
    storePart: StorePart;
  }) {
    this.#partBytes = options.part.byteLength;
    this.#budgetBytes = options.budgetBytes;
    this.#storePart = options.storePart;
    this.#part = options.part;
    try {
      this.#filled = options.readTail(this.#part);
    } catch (error) {
      giveBuffer(this.#part);
      throw error;
    }
    this.#keptTail = this.#filled;
  }

  /** Takes bytes, which are copied. Throws if a part could not be stored. */
  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.byteLength > 0) {
      const piece = rest.subarray(0, this.#partBytes - this.#filled);
      this.#part.set(piece, this.#filled);
      this.#filled += piece.byteLength;
      rest = rest.subarray(piece.byteLength);
      if (this.#filled === this.#partBytes) await this.#storeFullPart();
    }
  }

  async #storeFullPart(): Promise<void> {
    await this.#waitForPart();
    const full = this.#part;
    // A bucket in the same process (Miniflare's) always has work ready, and would keep the runtime from every other
    // request and timer until the upload ends.
    await scheduler.wait(1);
    this.#storing = this.#storePart(full).catch((error) => {
      this.#failure = error;
    });
    const next = this.#spare ?? takeSpareBuffer(this.#partBytes, this.#budgetBytes);
    if (next === undefined) {
      await this.#waitForPart();
      this.#part = full;
    } else {
      this.#part = next;
      this.#spare = full;
    }
    this.#filled = 0;
    this.#keptTail = 0;
  }

  async #waitForPart(): Promise<void> {
    await this.#storing;
    this.#storing = undefined;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits for what is being stored, and returns the bytes after it that nobody has kept yet. */
  async tail(): Promise<Uint8Array> {
    await this.#waitForPart();
    return this.#part.subarray(this.#keptTail, this.#filled);
  }

  /** Gives the buffers back, once nothing is being stored from them. */
  async close(): Promise<void> {
    await this.#storing;
    giveBuffer(this.#part);
    if (this.#spare !== undefined) giveBuffer(this.#spare);
  }
}
