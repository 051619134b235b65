/** A server that answers as a test says, and a client of it whose clock stands still. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Timing } from "../../../src/client/retry.ts";
import { Transport, type TransportOptions } from "../../../src/client/transport.ts";
import { after } from "../../support/ends-of-files.ts";

/** A request as the server saw its headers. */
export type Seen = {
  method: string;
  path: string;
  authorization: string | undefined;
  request: IncomingMessage;
};

/** Answers a request; what it throws ends the connection. */
export type Handler = (seen: Seen, response: ServerResponse) => void | Promise<void>;

/** A running server. */
export type FakeRegistry = { url: URL; seen: Seen[]; paths(): string[] };

/** Starts a server that ends after the tests of the file. */
export async function fakeRegistry(handle: Handler): Promise<FakeRegistry> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const { method = "", url = "", headers } = request;
    const one = { method, path: url, authorization: headers.authorization, request };
    seen.push(one);
    try {
      await handle(one, response);
    } catch {
      request.socket.destroy();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return { url, seen, paths: () => seen.map(({ method, path }) => `${method} ${path}`) };
}

/** A clock that only the test and its pauses move. */
export class TestTiming implements Timing {
  milliseconds = 0;
  readonly pauses: number[] = [];

  now(): number {
    return this.milliseconds;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.pauses.push(milliseconds);
    this.milliseconds += milliseconds;
  }

  random(): number {
    return 0.5;
  }
}

/** A transport to a server, with a clock of its own. */
export function transportTo(
  { url }: { url: URL },
  options: Partial<TransportOptions> = {},
): { transport: Transport; timing: TestTiming } {
  const timing = new TestTiming();
  return { transport: new Transport({ registry: url, timing, ...options }), timing };
}

/** Answers with a status, and JSON if there is any. */
export function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  json?: object,
): void {
  response.writeHead(status, headers);
  response.end(json === undefined ? undefined : JSON.stringify(json));
}
