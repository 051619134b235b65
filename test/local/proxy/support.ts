/** A reverse proxy before a server that tests script, under each runtime, and requests as bytes. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ProxyLimits } from "../../../src/local/proxy/limits.ts";
import { afterTest } from "../../support/ends.ts";
import { runtimes, startProgram, temporaryDirectory, until } from "../program.ts";

export { runtimes } from "../program.ts";
export type Runtime = keyof typeof runtimes;

const deadlineMs = 20_000;

/** What the reverse proxy passed on on one connection, and a way to answer it. */
export interface Passed {
  text: string;
  socket: Socket;
}

/** What stands for workerd. */
export interface Upstream {
  path: string;
  /** Each connection that was used, in order. */
  passed: Passed[];
  server: Server;
}

/** Answers each head with an empty 200, as soon as it has come. */
export function answerAll(passed: Passed): void {
  const heads = passed.text.split("\r\n\r\n").length - 1;
  if (heads > 0 && passed.text.endsWith("\r\n\r\n")) passed.socket.write(ok("answer"));
}

/** An answer with a body. */
export const ok = (body: string, status = "200 OK") =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nX-Test: 1\r\n\r\n${body}`;

/** Starts a server that hands what it gets to `onData`, each time that more of it came. */
export async function startUpstream(t: TestContext, onData: (passed: Passed) => void): Promise<Upstream> {
  const path = join(temporaryDirectory(t), "worker");
  const passed: Passed[] = [];
  const server = createServer((socket) => {
    const one: Passed = { text: "", socket };
    passed.push(one);
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      one.text += piece.toString("latin1");
      onData(one);
    });
  }).listen(path);
  await once(server, "listening");
  afterTest(t, () => {
    server.close();
    for (const { socket } of passed) socket.destroy();
  });
  return { path, passed, server };
}

/** What a reverse proxy is started with; see fixture-proxy.ts. */
export interface FixtureOptions {
  upstream: { path: string };
  files?: string;
  trustForwarded?: boolean;
  limits?: Partial<ProxyLimits>;
  tls?: { certFile: string; keyFile: string };
}

/** Starts a reverse proxy in a process of its own, which may have so many files open. Returns its port and its process. */
export async function startFrontProcess(
  t: TestContext,
  runtime: Runtime,
  options: FixtureOptions,
  files?: number,
) {
  const file = join(import.meta.dirname, "fixture-proxy.ts");
  const command = [...runtimes[runtime], file, JSON.stringify(options)];
  const limited = ["sh", "-c", `ulimit -n ${files} && exec "$@"`, "sh", ...command];
  const program = startProgram(t, files === undefined ? command : limited);
  const port = await until("the reverse proxy", () => {
    if (program.hasEnded) throw new Error(program.stderr);
    return Number(/^(\d+)\n/.exec(program.stdout)?.[1]) || undefined;
  });
  return { port, program };
}

/** Sends bytes and returns all that comes until the connection is closed, or until `isDone` says it is enough. */
export async function talk(
  port: number,
  bytes: string | Uint8Array,
  isDone: (text: string) => boolean = isAnswered,
): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), deadlineMs);
  let text = "";
  socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      text += piece.toString("latin1");
      if (isDone(text)) break;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ECONNRESET" && code !== "EPIPE") throw error;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return text;
}

/** Waits until the connection is closed. */
export const untilClosed = () => false;

/** Whether one answer with a length is there as a whole. */
export function isAnswered(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  if (/^HTTP\/1\.1 1/.test(text)) return isAnswered(text.slice(end + 4));
  return text.length >= end + 4 + Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
}

/** The status of an answer. */
export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]);
}

/** A connection to write to and read from step by step. */
export class RawClient {
  readonly socket: Socket;
  text = "";
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1" });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    this.socket.on("data", (piece) => {
      this.text += piece.toString("latin1");
    });
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }
}
