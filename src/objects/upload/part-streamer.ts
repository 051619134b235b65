/**
 * Streams the bytes of one request into parts of a bucket that takes parts of any size, and holds none in memory.
 */
import type { OpenPart } from "../../storage/bucket.ts";

/** What a part streamer works with. */
export type PartStreamerOptions = {
  /** The bytes that are kept after the last part. */
  readTail: () => Uint8Array;
  /** Keeps bytes after those. */
  appendTail: (bytes: Uint8Array) => void;
  openPart: () => Promise<OpenPart>;
  /** Notes a stored part: it holds the tail, if there was one, and what came after it. */
  addPart: (etag: string, sizeBytes: number) => void;
};

/** What is less than this is kept in the tail, so that many small chunks do not become many small files. */
const leastPartBytes = 1024 * 1024;

/** After this many bytes a part ends, and what it holds is kept whatever becomes of the request. */
const mostPartBytes = 64 * 1024 * 1024;

/** Writes to one upload for the time of one request. {@link close} must be called in the end. */
export class PartStreamer {
  readonly #options: PartStreamerOptions;
  #part: OpenPart | undefined;
  #partBytes = 0;
  /** Whether this request has begun a part: what comes after it goes into parts too. */
  #hasBegun = false;
  #ending: Promise<unknown> | undefined;
  #failure: unknown;

  constructor(options: PartStreamerOptions) {
    this.#options = options;
  }

  /** Takes bytes; they may be changed once this is through. Throws when a part could not be stored. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#hasBegun) {
      const tail = this.#options.readTail();
      if (tail.byteLength + bytes.byteLength < leastPartBytes) {
        this.#options.appendTail(bytes);
        return;
      }
      this.#hasBegun = true;
      await this.#writeToPart(tail);
    }
    await this.#writeToPart(bytes);
    if (this.#partBytes >= mostPartBytes) await this.#endPart();
    // The disk always has room, and would keep the runtime from every other request and timer.
    await scheduler.wait(0);
  }

  async #writeToPart(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#part ??= await this.#options.openPart();
    await this.#part.write(bytes);
    this.#partBytes += bytes.byteLength;
  }

  /** Lets the part end while the next one is written; at most one is ending. */
  async #endPart(): Promise<void> {
    await this.#settle();
    const part = this.#part;
    const sizeBytes = this.#partBytes;
    this.#part = undefined;
    this.#partBytes = 0;
    this.#ending = part?.end().then(
      ({ etag }) => this.#options.addPart(etag, sizeBytes),
      (error) => {
        this.#failure = error;
      },
    );
  }

  async #settle(): Promise<void> {
    await this.#ending;
    this.#ending = undefined;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Stores what was written. Nothing is left that somebody would have to keep. */
  async tail(): Promise<Uint8Array> {
    await this.#endPart();
    await this.#settle();
    return new Uint8Array();
  }

  /** Gives up what could not be stored. */
  async close(): Promise<void> {
    await this.#part?.abort();
    await this.#ending;
  }
}
