/**
 * Streams the bytes of one request into parts of a bucket that takes parts of any size, and holds no part in memory.
 * What is too little for a part is held until the request ends, and is then kept in one piece.
 */
import type { OpenPart } from "../../storage/bucket.ts";

/** What a part streamer works with. */
export type PartStreamerOptions = {
  /** The bytes that are kept after the last part, and how many they are. */
  readTail: () => Uint8Array;
  tailLength: () => number;
  openPart: () => Promise<OpenPart>;
  /** Notes a stored part: it holds the tail, if there was one, and what came after it. */
  addPart: (etag: string, sizeBytes: number) => void;
  /** How old a part of enough bytes may become now, in milliseconds; without it, a part ends by its size alone. */
  mostPartAgeMs?: () => number;
};

/** Less than this becomes the tail, so that many small chunks do not become many small files. */
const leastPartBytes = 1024 * 1024;

/** After this many bytes a part ends. Its bytes are kept, whatever becomes of the request. */
const mostPartBytes = 64 * 1024 * 1024;

/** Writes to one upload for the time of one request. {@link close} must be called in the end. */
export class PartStreamer {
  readonly #options: PartStreamerOptions;
  #part: OpenPart | undefined;
  #partBytes = 0;
  #partSince = 0;
  /** Whether this request has begun a part: what comes after it goes into parts too. */
  #hasBegun = false;
  #ending: Promise<unknown> | undefined;
  #isEnding = false;
  #failure: unknown;
  #little: Uint8Array[] = [];
  #littleBytes = 0;

  constructor(options: PartStreamerOptions) {
    this.#options = options;
  }

  /** Takes bytes, which may be changed once this has resolved. Throws if a part could not be stored. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#hasBegun) {
      if (this.#options.tailLength() + this.#littleBytes + bytes.byteLength < leastPartBytes) {
        this.#little.push(bytes.slice());
        this.#littleBytes += bytes.byteLength;
        return;
      }
      this.#hasBegun = true;
      for (const piece of [this.#options.readTail(), ...this.#takeLittle()]) await this.#writeToPart(piece);
    }
    await this.#writeToPart(bytes);
    if (this.#partBytes >= mostPartBytes || this.#isPartOld()) await this.#endPart();
    // The disk always has room, and would keep the runtime from every other request and timer.
    await scheduler.wait(0);
  }

  #isPartOld(): boolean {
    const { mostPartAgeMs } = this.#options;
    // To end, a part waits until the one before is durable: not for its age alone.
    if (mostPartAgeMs === undefined || this.#isEnding || this.#partBytes < leastPartBytes) return false;
    return performance.now() - this.#partSince >= mostPartAgeMs();
  }

  #takeLittle(): Uint8Array[] {
    const taken = this.#little;
    this.#little = [];
    this.#littleBytes = 0;
    return taken;
  }

  async #writeToPart(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#part === undefined) {
      this.#part = await this.#options.openPart();
      this.#partSince = performance.now();
    }
    await this.#part.write(bytes);
    this.#partBytes += bytes.byteLength;
  }

  /** Lets the part end while the next one is written; at most one is ending. */
  async #endPart(): Promise<void> {
    await this.#waitForPart();
    const part = this.#part;
    const sizeBytes = this.#partBytes;
    this.#part = undefined;
    this.#partBytes = 0;
    if (part === undefined) return;
    this.#isEnding = true;
    this.#ending = part
      .end()
      .then(
        ({ etag }) => this.#options.addPart(etag, sizeBytes),
        (error) => {
          this.#failure = error;
        },
      )
      .finally(() => {
        this.#isEnding = false;
      });
  }

  async #waitForPart(): Promise<void> {
    await this.#ending;
    this.#ending = undefined;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Stores what was written, and returns what was too little for a part and nobody has kept yet. */
  async tail(): Promise<Uint8Array> {
    await this.#endPart();
    await this.#waitForPart();
    return Buffer.concat(this.#takeLittle());
  }

  /** Gives up what could not be stored. */
  async close(): Promise<void> {
    await this.#part?.abort();
    await this.#ending;
  }
}
