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
  /** What came and was too much for the last buffer. */
  #rest: Buffer = Buffer.alloc(0);
  #read = 0;
  #hasEnded = false;

  constructor(request: IncomingMessage) {
    this.#request = request;
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
    await this.#take((piece) => {
      const taken = piece.copy(buffer, length);
      onBytes(buffer.subarray(length, length + taken));
      length += taken;
      this.#rest = piece.subarray(taken);
      return { taken, isEnough: length === buffer.byteLength };
    });
    return { bytes: buffer.subarray(0, length), isLast: this.#hasEnded };
  }

  /** Reads on for a while and forgets it; then the connection ends. Does not fail. */
  async drain(): Promise<void> {
    const timer = setTimeout(() => this.#request.destroy(), drainMs);
    let drained = 0;
    try {
      await this.#take(({ byteLength }) => {
        drained += byteLength;
        this.#rest = Buffer.alloc(0);
        return { taken: byteLength, isEnough: drained >= drainBytes };
      });
      if (!this.#hasEnded) this.#request.destroy();
    } catch {
      // The client has gone.
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Hands on what comes until that is enough, or the body ends. The pieces are those that the connection has: waiting for
   * each of them by itself would cost more than passing it on.
   */
  async #take(use: (piece: Buffer) => { taken: number; isEnough: boolean }): Promise<void> {
    const request = this.#request;
    const isEnough = (piece: Buffer) => {
      const used = use(piece);
      this.#read += used.taken;
      if (this.#read === this.announcedBytes) this.#hasEnded = true;
      return used.isEnough || this.#hasEnded;
    };
    if (this.#hasEnded || (this.#rest.byteLength > 0 && isEnough(this.#rest))) return;
    await new Promise<void>((resolve, reject) => {
      const stop = (settle: () => void) => {
        request.pause();
        for (const [event, listener] of Object.entries(listeners)) request.off(event, listener);
        settle();
      };
      const listeners = {
        data: (piece: Buffer) => {
          if (isEnough(piece)) stop(resolve);
        },
        end: () => {
          this.#hasEnded = true;
          stop(resolve);
        },
        error: (error: Error) => stop(() => reject(error)),
        close: () => stop(() => reject(new Error("the client went away"))),
      };
      if (request.destroyed) return listeners.close();
      for (const [event, listener] of Object.entries(listeners)) request.on(event, listener);
      request.resume();
    });
  }
}
