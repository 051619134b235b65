/** Connections to workerd, which are reused. */
import { connect, type Socket } from "node:net";
import type { Channel } from "../channels.ts";
import { AnswerParser, type AnswerReceiver } from "./answer-parser.ts";

/** Is told how a request continues. */
export interface Exchange extends AnswerReceiver {
  /** The part of the answer that arrived has been handed over, and more is expected. */
  onPause(): void;
  /** No answer comes, or it breaks off. `isUntouched`: the connection was a reused one, and not a byte came. */
  onBroken(isUntouched: boolean): void;
}

/**
 * workerd closes a connection that was idle for 5 s. A younger one is still open, even if this process or the machine
 * is so busy that a request gets there seconds later.
 */
const mostIdleMs = 1000;
/** The size of a read: small at first, and doubled whenever a read filled its buffer. */
const leastReadBytes = 64 * 1024;
const mostReadBytes = 2 * 1024 * 1024;
/** The total memory for grown buffers. Beyond it, connections keep the small size. */
const mostGrownBytes = 64 * 1024 * 1024;

/** Shared by all connections with small answers: its content is used up, or copied, before the next read. */
const sharedBuffer = Buffer.allocUnsafeSlow(leastReadBytes);
let grownBytes = 0;

/** One connection to workerd. */
export class Connection {
  readonly #socket: Socket;
  readonly #parser = new AnswerParser();
  readonly #release: (connection: Connection) => void;
  #buffer = sharedBuffer;
  #exchange: Exchange | undefined;
  #hasAnswered = false;
  #hasServed = false;
  /** When it became idle, as `performance.now`. */
  idleSince = 0;

  constructor(address: Channel, release: (connection: Connection) => void) {
    this.#release = release;
    this.#socket = connect({
      ...address,
      noDelay: true,
      onread: { buffer: () => this.#buffer, callback: (size, buffer) => this.#read(size, buffer) },
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#end());
  }

  /** Whether a request can be sent. */
  get isUsable(): boolean {
    return this.#exchange === undefined && this.#socket.writable && !this.#socket.readableEnded;
  }

  /** Sends a head, after which the body follows by `write`. */
  begin(head: string, method: string, exchange: Exchange): void {
    this.#exchange = exchange;
    this.#hasAnswered = false;
    this.#parser.expect(exchange, method);
    this.#socket.write(head, "latin1");
  }

  /** Sends a piece of the body. Returns whether more may be sent at once; otherwise `onDrain` is called for it. */
  write(piece: Buffer, isChunked: boolean, onDrain: () => void): boolean {
    const socket = this.#socket;
    if (isChunked) {
      socket.cork();
      socket.write(`${piece.byteLength.toString(16)}\r\n`, "latin1");
    }
    socket.write(piece);
    if (isChunked) {
      socket.write("\r\n", "latin1");
      socket.uncork();
    }
    if (!socket.writableNeedDrain) return true;
    socket.once("drain", onDrain);
    return false;
  }

  /** Ends a body that is sent in chunks. */
  endChunks(): void {
    this.#socket.write("0\r\n\r\n", "latin1");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Makes it reusable, after a whole request was sent and its answer read. */
  finish(): void {
    this.#exchange = undefined;
    this.#hasServed = true;
    this.#shrink();
    // The client may still be taking the last piece.
    this.resume();
    if (this.#parser.mayReuse) this.#release(this);
    else this.destroy();
  }

  /** Closes it, and so aborts the request, which workerd notices. */
  destroy(): void {
    this.#exchange = undefined;
    this.#socket.destroy();
  }

  #read(size: number, buffer: Uint8Array): boolean {
    const isShared = buffer === sharedBuffer;
    const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, size);
    this.#hasAnswered = true;
    if (size === buffer.byteLength) this.#grow();
    try {
      this.#parser.take(bytes, !isShared);
      this.#exchange?.onPause();
    } catch {
      this.#socket.destroy();
      return false;
    }
    return !this.#socket.isPaused();
  }

  #grow(): void {
    const size = this.#buffer.byteLength * 2;
    const more = this.#buffer === sharedBuffer ? size : size / 2;
    if (size > mostReadBytes || grownBytes + more > mostGrownBytes) return;
    grownBytes += more;
    this.#buffer = Buffer.allocUnsafeSlow(size);
  }

  #shrink(): void {
    if (this.#buffer === sharedBuffer) return;
    grownBytes -= this.#buffer.byteLength;
    this.#buffer = sharedBuffer;
  }

  #end(): void {
    this.#shrink();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.onBroken(this.#hasServed && !this.#hasAnswered);
  }
}

/** The connections to one workerd. */
export class Upstream {
  readonly #address: Channel;
  readonly #idle: Connection[] = [];

  constructor(address: Channel) {
    this.#address = address;
  }

  /** An idle connection. `isNew`: one that was not used before. */
  take(isNew = false): Connection {
    for (let kept = isNew ? undefined : this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.isUsable && performance.now() - kept.idleSince < mostIdleMs) return kept;
      kept.destroy();
    }
    return new Connection(this.#address, (connection) => {
      connection.idleSince = performance.now();
      this.#idle.push(connection);
    });
  }

  /** Closes the connections that were idle for a while. `now`: as `performance.now`. */
  sweep(now: number): void {
    while (this.#idle[0] !== undefined && now - this.#idle[0].idleSince >= mostIdleMs)
      this.#idle.shift()?.destroy();
  }

  /** Closes all that are idle. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }
}
