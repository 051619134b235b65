/**
 * A load generator: connections that send the same request over and over, each as soon as it was answered.
 *
 * It speaks HTTP/1.1 over plain sockets, so that it takes less of the machine than what it measures, and holds every
 * answer to the status that it must have.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A request, and the status, or those, that every answer to it has. `path` begins with a slash. */
export interface LoadRequest {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  status: number | readonly number[];
}

/** What came of it. Latencies are of single requests; `statuses` says how many answers had each. */
export interface LoadResult {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  statuses: Map<number, number>;
}

/**
 * How hard, and how long: for a time, or until so many requests were sent. `everyMs`: a connection sends no sooner than
 * that after the request before.
 */
export type LoadOptions = { connections: number; everyMs?: number } & (
  | { seconds: number }
  | { requests: number }
);

/**
 * Sends a request at full speed. `next` gives the request to send: the same one each time, or another.
 *
 * @throws when a connection breaks, or an answer has another status
 */
export async function load(
  url: string,
  next: LoadRequest | (() => LoadRequest),
  { connections, everyMs = 0, ...bound }: LoadOptions,
): Promise<LoadResult> {
  const { hostname, port, host } = new URL(url);
  const render = (request: LoadRequest) => ({ request, bytes: encode(host, request) });
  const fixed = typeof next === "function" ? undefined : render(next);
  const latencies: number[] = [];
  const statuses = new Map<number, number>();
  const startedAt = performance.now();
  const endsAt = "seconds" in bound ? startedAt + bound.seconds * 1000 : Number.POSITIVE_INFINITY;
  let left = "requests" in bound ? bound.requests : Number.POSITIVE_INFINITY;
  const take = (): Rendered | undefined => {
    if (left-- <= 0 || performance.now() >= endsAt) return undefined;
    return fixed ?? render((next as () => LoadRequest)());
  };
  const note = (milliseconds: number, status: number) => {
    latencies.push(milliseconds);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  const work = async () => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    try {
      await repeat(socket, take, everyMs, note);
    } finally {
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  const elapsed = (performance.now() - startedAt) / 1000;
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { requestsPerSecond: latencies.length / elapsed, p50Ms: at(0.5), p99Ms: at(0.99), statuses };
}

type Rendered = { request: LoadRequest; bytes: Buffer };

function encode(host: string, { method, path, headers = {}, body }: LoadRequest): Buffer {
  const length = body === undefined ? {} : { "Content-Length": String(body.byteLength) };
  const lines = Object.entries({ Host: host, ...headers, ...length }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return body === undefined ? head : Buffer.concat([head, body]);
}

/** Sends until there is nothing more to send. What happens for each answer is a callback, as a promise a piece would cost more. */
function repeat(
  socket: Socket,
  take: () => Rendered | undefined,
  everyMs: number,
  note: (milliseconds: number, status: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const first = take();
    if (first === undefined) {
      resolve();
      return;
    }
    let rendered = first;
    let received: Buffer | undefined;
    let sentAt = performance.now();
    const sendNext = () => {
      const following = take();
      if (following === undefined) {
        resolve();
        return;
      }
      rendered = following;
      sentAt = performance.now();
      socket.write(rendered.bytes);
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${rendered.request.path}: the connection was closed`)));
    socket.on("data", (piece: Buffer) => {
      const all = received === undefined ? piece : Buffer.concat([received, piece]);
      received = all;
      const answer = parse(all, rendered.request.method);
      if (answer === undefined) return;
      received = undefined;
      const now = performance.now();
      note(now - sentAt, answer.status);
      if (![rendered.request.status].flat().includes(answer.status)) {
        const { method, path } = rendered.request;
        reject(new Error(`${method} ${path}: ${answer.status}`));
        return;
      }
      const waitMs = sentAt + everyMs - now;
      if (waitMs > 0) setTimeout(sendNext, waitMs);
      else sendNext();
    });
    socket.write(rendered.bytes);
  });
}

/** The answer, once it is there as a whole. */
function parse(received: Buffer, method: string): { status: number } | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = received.toString("latin1", 0, headEnd);
  const status = Number(head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
  if (method === "HEAD" || status === 204 || status === 304) return { status };
  if (/^transfer-encoding: *chunked/im.test(head)) {
    return received.subarray(-5).equals(lastChunk) ? { status } : undefined;
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  return received.byteLength >= headEnd + 4 + length ? { status } : undefined;
}

const lastChunk = Buffer.from("0\r\n\r\n");
