/**
 * Where the local server listens: an HTTP server of the runtime's own, which is strict about what it reads, and passes
 * requests on to workerd over connections that are reused. No other program can reach workerd itself.
 *
 * It does what workerd does not do: TLS, deadlines, `Expect: 100-continue`, HTTP/1.0, the client's address, and
 * refusing everything that HTTP forbids. And it sends the files that answers name: large blobs do not pass workerd.
 */
import { once } from "node:events";
import type { Channel } from "../channels.ts";
import { serveClients } from "./clients.ts";
import type { ProxyContext } from "./context.ts";
import { defaultLimits, type ProxyLimits } from "./limits.ts";
import { createListener, type ProxyIdentity } from "./listener.ts";
import type { ProxiedRequest } from "./proxied-request.ts";
import { Upstream } from "./upstream.ts";

/** The address of the reverse proxy, and of the workerd behind it. */
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
  /** The folder of the files that answers of workerd may name; without, they have all bytes. */
  files?: string | undefined;
  /** Whether the last entry of `X-Forwarded-For` is the client's address. */
  trustForwarded?: boolean;
  /** Receives a sentence for the operator; at most once a minute. */
  warn?: (message: string) => void;
  /** For tests. */
  limits?: Partial<ProxyLimits>;
}

/** The listener. */
export interface ReverseProxy {
  /** The port it listens on. */
  port: number;
  /** Refuses new connections; requests in progress continue. */
  stopListening(): void;
  /** Whether requests are in progress, or answers not sent yet. */
  hasRequests(): boolean;
  /**
   * Call it when workerd has ended: waits until everything it sent has been passed to the clients.
   *
   * @returns false if some data was left when the time was over
   */
  flush(timeoutMs: number): Promise<boolean>;
  /** Makes new connections use another certificate; existing ones continue. Throws if it cannot be used. */
  renew(identity: ProxyIdentity): void;
}

/** How often `flush` checks whether everything was sent. */
const flushPollMs = 10;

/** Starts listening. Rejects with the system's error if that is impossible. */
export async function startProxy(options: ProxyOptions): Promise<ReverseProxy> {
  const { identity, host, port, files, secret, trustForwarded = false, warn = () => {} } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const upstream = new Upstream(options.upstream);
  const context: ProxyContext = { upstream, limits, trustForwarded, files, secret, isStopping: false };
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
    hasRequests: () => requests.size > 0,
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
