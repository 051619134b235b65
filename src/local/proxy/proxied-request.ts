/** One request on its way to workerd, and its answer on the way back. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnswerHead } from "./answer-parser.ts";
import type { ProxyContext } from "./context.ts";
import { FileSender } from "./file-sender.ts";
import { knownMethods, type Refusal, refusal, unavailable } from "./refusals.ts";
import { requestHead } from "./request-head.ts";
import { StallDetector, type Wait } from "./stall-detector.ts";
import type { Connection, Exchange } from "./upstream.ts";

/** A body is held until its client may send it, sent on, or read and dropped once it is known to be refused. */
type BodyState = "held" | "sent on" | "drained" | "complete";

/** Answers of this size are written at once with their heads. */
const smallBytes = 16 * 1024;
/** Methods that may be repeated, whatever the outcome of the first try. */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/** A request, from its head to the end of its answer. */
export class ProxiedRequest implements Exchange {
  readonly #context: ProxyContext;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #method: string;
  /** The folder of the files that the answer may name, and what sends them. */
  #files: string | undefined;
  #sender: FileSender | undefined;
  #connection: Connection | undefined;
  #text = "";
  #isChunked = false;
  #body: BodyState = "complete";
  /** Whether workerd has the whole request, so that its connection only waits for the answer. */
  #isPassedOn = false;
  #continueTimer: NodeJS.Timeout | undefined;
  #isReading = false;
  #isBlocked = false;
  #isRepeatable = false;
  #head: AnswerHead | undefined;
  #isAnswered = false;
  readonly #stalls: StallDetector;
  #drainedFrom = 0;
  #isUnread = false;

  constructor(context: ProxyContext, request: IncomingMessage, response: ServerResponse) {
    this.#context = context;
    this.#stalls = new StallDetector(context.limits);
    this.#request = request;
    this.#response = response;
    this.#method = request.method ?? "";
    this.#files = this.#method === "GET" ? context.files : undefined;
  }

  /** Sends it on, or refuses it. `isExpecting`: the client waits for `100 Continue` before it sends the body. */
  start(isExpecting: boolean): void {
    const head = requestHead(this.#request, this.#context, this.#files !== undefined);
    if (!head.ok) {
      this.#cut(refusal(head.status, head.reason, true));
      return;
    }
    this.#isRepeatable = head.framing === "none" && safeMethods.has(this.#method);
    if (head.framing === "none") this.#isPassedOn = true;
    else this.#body = isExpecting ? "held" : "sent on";
    this.#isChunked = head.framing === "chunked";
    if (head.path === "*") {
      this.#refuse({ status: 204, headers: ["Allow", knownMethods], body: "" });
      return;
    }
    this.#text = head.text;
    this.#send(false);
    if (this.#body === "sent on") this.#readBody();
    else if (this.#body === "held") {
      this.#continueTimer = setTimeout(() => this.#continue(), this.#context.limits.continueMs);
    }
  }

  /** Whether the whole request has arrived. */
  get isWhole(): boolean {
    return this.#body === "complete";
  }

  /** The client's connection or the answer has ended: the rest of the request is not needed. */
  end(): void {
    clearTimeout(this.#continueTimer);
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#body = "complete";
    this.#isAnswered = true;
    this.#sender?.stop();
  }

  /** The client has stopped sending. It may be waiting for its answer. */
  onHalfClose(): void {
    if (this.#body !== "complete") this.fail(400, "the body broke off");
  }

  /** The bytes after the head are not a body, or the body breaks off. Call it before the request is whole. */
  fail(status: number, message: string): void {
    this.#abandon();
    if (this.#response.headersSent) this.#request.socket.destroy();
    else this.#cut(refusal(status, message, true));
  }

  onHead(head: AnswerHead): void {
    this.#head = head;
    if (head.filesLength !== undefined) void this.#sendFiles(head.filesLength);
    // An answer before the body's end: the Worker wants no more of it.
    if (this.#body !== "complete") this.#drain();
  }

  onBody(piece: Buffer, lasts: boolean): void {
    if (this.#sender !== undefined) {
      this.#sender.take(piece);
      return;
    }
    const response = this.#response;
    if (!response.headersSent) {
      this.#writeHead();
      if (
        this.#body === "complete" &&
        piece.byteLength === this.#head?.length &&
        piece.byteLength <= smallBytes
      ) {
        this.#isAnswered = true;
        // Written as text, it is sent together with the head.
        response.end(piece.toString("latin1"), "latin1");
        return;
      }
    }
    const size = piece.byteLength;
    let isWaiting = false;
    response.write(lasts ? piece : Buffer.from(piece), () => {
      this.#stalls.sent += size;
      if (!isWaiting) return;
      this.#isUnread = false;
      this.#connection?.resume();
    });
    // The kernel still reads the rest from the buffer.
    if (response.writableLength > 0) {
      isWaiting = true;
      this.#isUnread = true;
      this.#connection?.pause();
    }
  }

  onPause(): void {
    if (this.#response.headersSent || this.#head === undefined || this.#sender !== undefined) return;
    this.#writeHead();
    this.#response.flushHeaders();
  }

  onEnd(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    // If a body was not sent to its end, workerd would take the next request for the rest of it.
    if (this.#isPassedOn) connection?.finish();
    else connection?.destroy();
    if (this.#isAnswered) return;
    if (this.#sender !== undefined) {
      this.#sender.end();
      return;
    }
    if (!this.#response.headersSent) this.#writeHead();
    this.#finish();
  }

  onBroken(isUntouched: boolean): void {
    this.#connection = undefined;
    if (this.#response.headersSent) {
      // Half an answer must not look like a whole one.
      this.#request.socket.destroy();
      return;
    }
    // Once more at most: a new connection is not a reused one.
    if (isUntouched && this.#isRepeatable) this.#send(true);
    else this.#refuse(refusal(503, unavailable));
  }

  /** Ends it if its client is too slow. `now`: milliseconds since some time. */
  sweep(now: number): void {
    const wait = this.#waitsFor();
    if (!this.#stalls.isOver(wait, now)) return;
    if (wait === "body") this.fail(408, "the body took too long");
    else this.#request.socket.destroy();
  }

  #waitsFor(): Wait {
    if (this.#body === "drained") return "drain";
    // While the Worker reads nothing, the client cannot be blamed for being slow.
    if (this.#body === "sent on" && !this.#isBlocked) return "body";
    return this.#isUnread || this.#sender?.isUnread === true ? "answer" : "workerd";
  }

  #send(isNew: boolean): void {
    this.#connection = this.#context.upstream.take(isNew);
    this.#connection.begin(this.#text, this.#method, this);
  }

  async #sendFiles(length: number): Promise<void> {
    this.#sender = new FileSender(this.#files, length, this.#response, this.#stalls);
    const isSent = await this.#sender.send(() => this.#writeHead());
    if (this.#isAnswered) return;
    if (isSent) this.#finish();
    else if (this.#response.headersSent) this.#request.socket.destroy();
    else this.#askForBytes();
  }

  /** Asks the Worker again, which then looks for the bytes itself: a file that it named may have been deleted since. */
  #askForBytes(): void {
    this.#abandon();
    const mayAsk = this.#files !== undefined;
    this.#files = undefined;
    this.#sender = undefined;
    this.#head = undefined;
    const head = requestHead(this.#request, this.#context, false);
    if (mayAsk && head.ok && head.framing === "none") {
      this.#text = head.text;
      this.#send(false);
    } else this.#refuse(refusal(503, unavailable));
  }

  #continue(): void {
    if (this.#body !== "held") return;
    this.#body = "sent on";
    this.#response.writeContinue();
    this.#readBody();
  }

  #readBody(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    const request = this.#request;
    request.on("data", (piece: Buffer) => this.#onData(piece));
    request.on("end", () => this.#onBodyEnd());
    // A broken connection is noticed when the answer ends.
    request.on("error", () => {});
  }

  #onData(piece: Buffer): void {
    this.#stalls.received += piece.byteLength;
    if (this.#body === "drained") {
      const drained = this.#stalls.received - this.#drainedFrom;
      // What it still sends stays in its own kernel, until the time to see the answer is over.
      if (drained > this.#context.limits.drainBytes) this.#request.pause();
      return;
    }
    if (this.#connection?.write(piece, this.#isChunked, this.#unblock) !== false) return;
    this.#isBlocked = true;
    this.#request.pause();
  }

  readonly #unblock = () => {
    this.#isBlocked = false;
    this.#request.resume();
  };

  #onBodyEnd(): void {
    if (this.#body === "sent on") {
      this.#isPassedOn = true;
      if (this.#isChunked) this.#connection?.endChunks();
    }
    this.#body = "complete";
    if (this.#isAnswered) this.#response.end();
  }

  /** From here on the body is read only so that the client, which may still be sending it, can receive the answer. */
  #drain(): void {
    const wasHeld = this.#body === "held";
    this.#body = "drained";
    this.#drainedFrom = this.#stalls.received;
    clearTimeout(this.#continueTimer);
    // It is unknown whether the client sends it nevertheless: RFC 9110, 10.1.1.
    if (wasHeld) this.#response.shouldKeepAlive = false;
    this.#readBody();
    this.#unblock();
  }

  #writeHead(): void {
    const head = this.#head;
    if (head === undefined) return;
    if (this.#context.isStopping) this.#response.shouldKeepAlive = false;
    this.#response.writeHead(head.status, head.reason, head.headers);
  }

  /** All of the answer is written: the exchange ends with it, or with the body. */
  #finish(): void {
    this.#isAnswered = true;
    if (this.#body === "complete") {
      this.#response.end();
      return;
    }
    this.#response.flushHeaders();
    // The client sees that nothing follows, while it may still be sending.
    if (!this.#response.shouldKeepAlive) this.#request.socket.end();
  }

  #refuse({ status, headers, body }: Refusal): void {
    this.#abandon();
    if (this.#body === "held" || this.#body === "sent on") this.#drain();
    this.#response.writeHead(status, headers);
    if (this.#method !== "HEAD") this.#response.write(body);
    this.#finish();
  }

  /** Refuses a request whose body should not be read any further. */
  #cut({ status, headers, body }: Refusal): void {
    this.#body = "complete";
    this.#response.writeHead(status, headers);
    this.#response.end(body);
    this.#isAnswered = true;
  }

  #abandon(): void {
    this.#sender?.stop();
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}
