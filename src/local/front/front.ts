/**
 * Where the local server listens: an HTTP server of the runtime's own, which is strict about what it reads, and passes
 * requests on to workerd over connections that are kept. workerd itself listens where nobody else can reach it.
 *
 * It is there for what workerd does not do: TLS, deadlines, leave to send a body (`Expect: 100-continue`), HTTP/1.0,
 * the client's address, and a strict reading of what HTTP forbids.
 */
import { once } from "node:events";
import { serveClients } from "./clients.ts";
import { defaultLimits, type FrontLimits } from "./limits.ts";
import { createListener, type FrontIdentity } from "./listener.ts";
import type { Passage, ProxiedRequest } from "./proxied-request.ts";
import { Upstream, type UpstreamAddress } from "./upstream.ts";

/** Where the front listens, and where it passes requests on to. */
export interface FrontOptions {
  /** With it, the front speaks TLS; without, plain HTTP. */
  identity: FrontIdentity | undefined;
  host: string;
  /** 0 is any free port. */
  port: number;
  /** Where workerd listens. */
  upstream: UpstreamAddress;
  /** Whether the last entry of `X-Forwarded-For` is the client's address. */
  trustForwarded?: boolean;
  /** Gets what an operator should know, in a sentence; at most once a minute. */
  warn?: (message: string) => void;
  /** For tests. */
  limits?: Partial<FrontLimits>;
}

/** The listener. */
export interface Front {
  /** The port it listens on. */
  port: number;
  /** Refuses connections from now on; requests that are there go on. */
  stopListening(): void;
  /**
   * To be called when workerd has ended: waits until what it sent has left for the clients.
   *
   * @returns false if some was still here when the time was over
   */
  flush(timeoutMs: number): Promise<boolean>;
  /** Has connections from now on use another certificate; those there are go on. Throws where it cannot be used. */
  renew(identity: FrontIdentity): void;
}

/** How often `flush` looks whether all is gone. */
const flushPollMs = 10;

/** Starts listening. Rejects with the system's error where that is not possible. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { identity, host, port, trustForwarded = false, warn = () => {} } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const upstream = new Upstream(options.upstream);
  const passage: Passage = { upstream, limits, trustForwarded, isStopping: false };
  const { server, renew } = createListener(identity, limits, warn);
  const requests = serveClients(server, passage);
  server.listen({ host, port, exclusive: true });
  await once(server, "listening");
  const address = server.address();
  const sweep = setInterval(() => {
    const now = performance.now();
    upstream.sweep(now);
    for (const request of requests) request.sweep(now);
  }, limits.sweepMs).unref();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    stopListening: () => {
      passage.isStopping = true;
      server.close(() => {
        clearInterval(sweep);
        upstream.close();
      });
    },
    flush: (timeoutMs) => untilEmpty(requests, timeoutMs),
    renew,
  };
}

async function untilEmpty(requests: ReadonlySet<ProxiedRequest>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (requests.size > 0) {
    if (performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, flushPollMs));
  }
  return true;
}
