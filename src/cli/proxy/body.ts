/** The body of a client's request, read piece by piece into buffers. */
import type { IncomingMessage } from "node:http";
import { parseContentLength } from "../../oci/http.ts";

/** How much of a body that is not wanted any more is read, and for how long, so that its client sees the answer. */
const drainBytes = 64 * 1024 * 1024;
const drainMs = 30_000;

/** Some of a body; `isLast`: nothing follows. */
export type BodyPiece = { bytes: Buffer; isLast: boolean };

/** A body that is read only as fast as its bytes are requested. */
export class Body {
  /** The length that the client announced. */
  readonly announcedBytes: number | undefined;
  readonly #request: IncomingMessage;
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #read = 0;
  #hasEnded = false;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.#pieces = request[Symbol.asyncIterator]();
    const isChunked = request.headers["transfer-encoding"] !== undefined;
    this.announcedBytes = isChunked
      ? undefined
      : (parseContentLength(request.headers["content-length"] ?? null) ?? 0);
    this.#hasEnded = this.announcedBytes === 0;
  }

  /** Whether all of it was read. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** How many bytes were read. */
  get readBytes(): number {
    return this.#read;
  }

  /**
   * Fills a buffer, or what the body has left of it. `onBytes` hears of each piece as it comes.
   *
   * @throws Error when the client goes away before its body's end
   */
  async fill(buffer: Buffer, onBytes: (bytes: Buffer) => void = () => {}): Promise<BodyPiece> {
    let length = 0;
    while (length < buffer.byteLength && !this.#hasEnded) {
      const piece = this.#rest.byteLength > 0 ? this.#rest : await this.#next();
      const taken = piece.copy(buffer, length);
      this.#rest = piece.subarray(taken);
      onBytes(buffer.subarray(length, length + taken));
      length += taken;
      this.#read += taken;
      if (this.#read === this.announcedBytes) this.#hasEnded = true;
    }
    return { bytes: buffer.subarray(0, length), isLast: this.#hasEnded };
  }

  /** Reads on for a while and forgets it; then the connection ends. Does not fail. */
  async drain(): Promise<void> {
    const timer = setTimeout(() => this.#request.destroy(), drainMs);
    try {
      for (let drained = 0; !this.#hasEnded && drained < drainBytes; ) {
        const { byteLength } = await this.#next();
        drained += byteLength;
        this.#read += byteLength;
        if (this.#read === this.announcedBytes) return;
      }
      if (!this.#hasEnded) this.#request.destroy();
    } catch {
      // The client has gone.
    } finally {
      clearTimeout(timer);
    }
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#pieces.next();
    if (done === true) {
      this.#hasEnded = true;
      return Buffer.alloc(0);
    }
    return value;
  }
}
