/** Requests as bytes on a socket: what no HTTP client would send. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { Answer } from "./answer.ts";
import { deadlineMs } from "./client.ts";

/**
 * What the client does once it has sent its bytes: waits for the answer with the connection open, or half-closes it
 * first, so that a body which is not complete never will be.
 */
export type Ending = "wait" | "half-close";

/** Sends bytes and reads one answer. `undefined`: the connection was closed without one. */
export async function exchange(
  url: string,
  bytes: string | Uint8Array,
  ending: Ending = "wait",
): Promise<Answer | undefined> {
  const [answer] = await converse(url, bytes, ["GET"], ending);
  return answer;
}

/**
 * Sends the bytes of requests with these methods, all at once, and reads their answers; fewer where the connection was
 * closed before the last one.
 */
export async function converse(
  url: string,
  bytes: string | Uint8Array,
  methods: string[],
  ending: Ending = "wait",
): Promise<Answer[]> {
  const socket = open(url);
  // What breaks is seen by the reader.
  socket.on("error", () => {});
  try {
    socket.write(bytes);
    if (ending === "half-close") socket.end();
    return await readAnswers(socket, methods);
  } finally {
    socket.destroy();
  }
}

/** A request that its client goes on with, or cuts. */
export class OpenRequest {
  readonly #socket: Socket;

  constructor(url: string, head: string) {
    this.#socket = open(url);
    this.#socket.on("error", () => {});
    this.#socket.write(head);
  }

  /** Sends bytes; resolves once they have left. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  async answer(): Promise<Answer | undefined> {
    const [answer] = await readAnswers(this.#socket, ["GET"]);
    return answer;
  }

  /** Breaks the connection off, as a lost network does. */
  cut(): void {
    this.#socket.resetAndDestroy();
  }
}

/** The head of a request in HTTP/1.1, to `localhost` unless told. A list of headers may have one more than once. */
export function head(
  method: string,
  target: string,
  headers: Record<string, string> | [name: string, value: string][] = {},
): string {
  const given = Array.isArray(headers) ? headers : Object.entries(headers);
  const host = given.some(([name]) => name === "Host") ? [] : [["Host", "localhost"]];
  const lines = [...host, ...given].map(([name, value]) => `${name}: ${value}`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

function open(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect({ host: hostname, port: Number(port), allowHalfOpen: true });
}

async function readAnswers(socket: Socket, methods: string[]): Promise<Answer[]> {
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), deadlineMs);
  const answers: Answer[] = [];
  let received: Buffer = Buffer.alloc(0);
  try {
    for await (const piece of socket) {
      received = Buffer.concat([received, piece]);
      for (let parsed = parseAnswer(received, methods[answers.length]); parsed !== undefined; ) {
        answers.push(parsed.answer);
        received = parsed.rest;
        if (answers.length === methods.length) return answers;
        parsed = parseAnswer(received, methods[answers.length]);
      }
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ECONNRESET" && code !== "EPIPE") throw error;
  } finally {
    clearTimeout(timer);
  }
  return answers;
}

/** The first answer, once it is there as a whole, and what comes after it. */
function parseAnswer(received: Buffer, method = "GET"): { answer: Answer; rest: Buffer } | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = received.subarray(0, headEnd).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  assert(Number.isInteger(status), statusLine);
  const headers = new Headers(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  const body = received.subarray(headEnd + 4);
  if (status === 100) return parseAnswer(body, method);
  const length = method === "HEAD" ? 0 : Number(headers.get("Content-Length") ?? 0);
  if (body.byteLength < length) return undefined;
  const answer = new Answer(status, headers, new Uint8Array(body.subarray(0, length)));
  return { answer, rest: body.subarray(length) };
}
