/** Requests whose bytes and breaks are under the test's control, as no client library allows. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Content } from "./content.ts";

/** An answer whose body has been read. */
export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

/** A request. The body is sent with the length that `headers` give, or chunked. */
export interface Sending {
  method: string;
  headers?: Record<string, string>;
  body?: Iterable<Buffer>;
}

function open(url: string | URL, { method, headers = {} }: Sending): ClientRequest {
  const request = httpRequest(String(url), { method, headers, agent: false });
  // A server that refuses a body closes the connection; what is wrong is in its answer.
  request.on("error", () => {});
  return request;
}

async function write(request: ClientRequest, body: Iterable<Buffer>): Promise<void> {
  for (const piece of body) {
    if (request.destroyed) return;
    if (!request.write(piece)) await drained(request);
  }
}

/** Waits until a request takes more bytes, or never will. */
async function drained(request: ClientRequest): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(request, "drain", { signal }), once(request, "close", { signal })]).catch(
    () => {},
  );
  over.abort();
}

/**
 * Sends a request and reads the answer.
 *
 * @throws Error if the connection broke before the answer's end
 */
export async function send(url: string | URL, sending: Sending): Promise<Answer> {
  const request = open(url, sending);
  const answered: Promise<[IncomingMessage]> = once(request, "response") as Promise<[IncomingMessage]>;
  answered.catch(() => {});
  await write(request, sending.body ?? []);
  request.end();
  const [response] = await answered;
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** Sends the head of a request and this much of its body, then cuts the connection. */
export async function sendAndCut(url: string | URL, sending: Sending): Promise<void> {
  const request = open(url, sending);
  await write(request, sending.body ?? []);
  // A cut drops what is still in this process.
  while (!request.destroyed && (request.socket?.writableLength ?? 0) > 0) await delay(1);
  request.destroy();
}

/** `sha256:…` of what a GET answers, and how many bytes it is. */
export async function download(
  url: string | URL,
): Promise<{ status: number; digest: string; sizeBytes: number }> {
  const request = open(url, { method: "GET" }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    hash.update(piece);
    sizeBytes += piece.byteLength;
  }
  return { status: response.statusCode ?? 0, digest: `sha256:${hash.digest("hex")}`, sizeBytes };
}

/** The headers and body of a chunk from `offset` up to `end`. distribution-spec: Pushing a blob in chunks. */
export function chunk(content: Content, offset: number, end: number): Sending {
  return {
    method: "PATCH",
    headers: {
      "Content-Length": String(end - offset),
      "Content-Range": `${offset}-${end - 1}`,
      "Content-Type": "application/octet-stream",
    },
    body: content.pieces(offset, end),
  };
}

/** How many bytes an upload session has, by the `Range` header of its answers: `0-0` is none as well as one. */
export function bytesAt(answer: Answer): number {
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(String(answer.headers.range))?.[1]);
  return last === 0 ? 0 : last + 1;
}

/** Where to go on, by an answer's `Location`. */
export function nextUrl(base: string | URL, answer: Answer): URL {
  return new URL(String(answer.headers.location), base);
}
