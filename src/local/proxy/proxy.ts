/**
 * Where the local server listens: an HTTP server of the runtime's own, which is strict about what it reads, and passes
 * requests on to workerd over connections that are kept. workerd itself listens where nobody else can reach it.
 *
 * It does what workerd does not do: TLS, deadlines, `Expect: 100-continue`, HTTP/1.0, the client's address, and a strict
 * reading of what HTTP forbids.
 */
import { once } from "node:events";
import type { Channel } from "../channels.ts";
import { serveClients } from "./clients.ts";
import { defaultLimits, type ProxyLimits } from "./limits.ts";
import { createListener, type ProxyIdentity } from "./listener.ts";
import type { ProxiedRequest, ProxyContext } from "./proxied-request.ts";
import { Upstream } from "./upstream.ts";

/** Where the reverse proxy listens, and where it passes requests on to. */
export interface ProxyOptions {
  /** With it, the reverse proxy speaks TLS; without, plain HTTP. */
  identity: ProxyIdentity | undefined;
  host: string;
  /** 0 is any free port. */
  port: number;
  /** Where workerd listens. */
  upstream: Channel;
  /** The secret that each request to workerd carries, where other programs could reach workerd. */
  secret?: string | undefined;
  /** Whether the last entry of `X-Forwarded-For` is the client's address. */
  trustForwarded?: boolean;
  /** Gets what an operator should know, in a sentence; at most once a minute. */
  warn?: (message: string) => void;
  /** For tests. */
  limits?: Partial<ProxyLimits>;
}

/** The listener. */
export interface ReverseProxy {
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
  renew(identity: ProxyIdentity): void;
}

/** How often `flush` looks whether all is gone. */
const flushPollMs = 10;

/** Starts listening. Rejects with the system's error where that is not possible. */
export async function startProxy(options: ProxyOptions): Promise<ReverseProxy> {
  const { identity, host, port, secret, trustForwarded = false, warn = () => {} } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const upstream = new Upstream(options.upstream);
  const context: ProxyContext = { upstream, limits, trustForwarded, secret, isStopping: false };
  const { server, renew } = createListener(identity, limits, warn);
  const requests = serveClients(server, context);
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
      context.isStopping = true;
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
