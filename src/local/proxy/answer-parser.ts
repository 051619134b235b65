/**
 * Reads workerd's answers. workerd is trusted to speak HTTP; only the completeness of an answer is checked.
 *
 * Source: RFC 9112, 4, 6.3, 7.1.
 */
import { filesHeader } from "../../machine.ts";

/** The head of an answer: its headers as name, value, name, value, without those about the connection. */
export interface AnswerHead {
  status: number;
  reason: string;
  headers: string[];
  /** Bytes in the body; `undefined` if only its end shows the length. */
  length: number | undefined;
  /** How many bytes there are in the files that the body names; `undefined` if the body is for the client. */
  filesLength: number | undefined;
}

/** Receives an answer in order. A piece of a body is valid until the next one arrives, unless it `lasts`. */
export interface AnswerReceiver {
  onHead(head: AnswerHead): void;
  onBody(piece: Buffer, lasts: boolean): void;
  onEnd(): void;
}

/** Thrown for bytes that are not an answer. */
class AnswerError extends Error {}

/** Much more than the Worker sends. */
const mostHeadBytes = 64 * 1024;
const crlf = "\r\n";
const headEnd = Buffer.from("\r\n\r\n");

type State = "head" | "body" | "size" | "chunk" | "chunk end" | "trailer" | "done";

/** Parses the answers on a connection, one after another. */
export class AnswerParser {
  #state: State = "done";
  #receiver: AnswerReceiver | undefined;
  #isHead = false;
  /** The part of a head, or of a line between chunks, that has arrived. */
  #text = "";
  /** Bytes that are still to come of the body, or of the chunk. */
  #left = 0;
  #mayReuse = false;

  /** Whether the connection may be reused after the answer. */
  get mayReuse(): boolean {
    return this.#mayReuse;
  }

  /** Awaits an answer. */
  expect(receiver: AnswerReceiver, method: string): void {
    this.#receiver = receiver;
    this.#isHead = method === "HEAD";
    this.#state = "head";
    this.#text = "";
  }

  /**
   * Parses bytes that were read.
   *
   * @param lasts whether the bytes are never overwritten
   * @throws AnswerError
   */
  take(bytes: Buffer, lasts: boolean): void {
    const receiver = this.#receiver;
    let at = 0;
    while (at < bytes.byteLength) {
      if (receiver === undefined || this.#state === "done") throw new AnswerError("an answer to nothing");
      if (this.#state === "body" || this.#state === "chunk") {
        const piece =
          at === 0 && this.#left >= bytes.byteLength ? bytes : bytes.subarray(at, at + this.#left);
        at += piece.byteLength;
        this.#left -= piece.byteLength;
        const isEnd = this.#left === 0;
        receiver.onBody(piece, lasts);
        if (isEnd) this.#endPiece(receiver);
      } else if (this.#state === "head") at = this.#takeHead(bytes, at, receiver);
      else at = this.#takeLine(bytes, at, receiver);
    }
  }

  #endPiece(receiver: AnswerReceiver): void {
    if (this.#state === "chunk") this.#state = "chunk end";
    else this.#finish(receiver);
  }

  #finish(receiver: AnswerReceiver): void {
    this.#state = "done";
    this.#receiver = undefined;
    receiver.onEnd();
  }

  #takeHead(bytes: Buffer, from: number, receiver: AnswerReceiver): number {
    // The end marker may be split over two reads.
    const before = this.#text.length;
    let end = before === 0 ? bytes.indexOf(headEnd, from) : -1;
    if (end >= 0) {
      this.#startBody(bytes.toString("latin1", from, end), receiver);
      return end + headEnd.byteLength;
    }
    this.#text += bytes.toString("latin1", from);
    end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#text.length > mostHeadBytes) throw new AnswerError("a head that does not end");
      return bytes.byteLength;
    }
    const text = this.#text.slice(0, end);
    this.#text = "";
    this.#startBody(text, receiver);
    return from + end + headEnd.byteLength - before;
  }

  #startBody(text: string, receiver: AnswerReceiver): void {
    const { head, isChunked, isLast } = parseHead(text);
    // An interim answer, which the Worker never sends.
    if (head.status < 200) return;
    this.#mayReuse = !isLast;
    const hasNone = this.#isHead || head.status === 204 || head.status === 304;
    if (!hasNone && !isChunked && head.length === undefined) throw new AnswerError("a body without an end");
    receiver.onHead(head);
    this.#state = isChunked ? "size" : "body";
    this.#left = head.length ?? 0;
    if (hasNone || (!isChunked && head.length === 0)) this.#finish(receiver);
  }

  #takeLine(bytes: Buffer, from: number, receiver: AnswerReceiver): number {
    const end = bytes.indexOf(0x0a, from);
    this.#text += bytes.toString("latin1", from, end < 0 ? bytes.byteLength : end + 1);
    if (this.#text.length > mostHeadBytes) throw new AnswerError("a line that does not end");
    if (end < 0) return bytes.byteLength;
    const line = this.#text.trimEnd();
    this.#text = "";
    if (this.#state === "chunk end") this.#state = "size";
    else if (this.#state === "trailer") {
      if (line === "") this.#finish(receiver);
    } else {
      const size = /^[0-9a-f]{1,12}(?=;|$)/i.exec(line)?.[0];
      if (size === undefined) throw new AnswerError("a chunk without a size");
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? "trailer" : "chunk";
    }
    return end + 1;
  }
}

function parseHead(text: string): { head: AnswerHead; isChunked: boolean; isLast: boolean } {
  const [statusLine = "", ...lines] = text.split(crlf);
  const status = Number(statusLine.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
  if (!(status >= 100)) throw new AnswerError("an answer without a status");
  const headers: string[] = [];
  let length: number | undefined;
  let filesLength: number | undefined;
  let isChunked = false;
  let isLast = false;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    switch (name.toLowerCase()) {
      case "transfer-encoding":
        isChunked = true;
        break;
      case "connection":
        isLast = value.toLowerCase() === "close";
        break;
      case "keep-alive":
      case "upgrade":
        break;
      case "content-length":
        length = Number(value);
        break;
      case filesHeader.toLowerCase():
        filesLength = Number(value);
        break;
      default:
        headers.push(name, value);
    }
  }
  const sent = filesLength ?? length;
  if (sent !== undefined) headers.push("Content-Length", String(sent));
  const reason = statusLine.slice("HTTP/1.1 200 ".length);
  return { head: { status, reason, headers, length, filesLength }, isChunked, isLast };
}
