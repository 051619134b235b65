/**
 * TLS for the local server: connections are decrypted here and passed on, as bytes, to the Worker's own port on
 * loopback. Nothing of HTTP is read, so that nothing of what the Worker answers can be changed on the way.
 *
 * (workerd can do TLS itself, but Miniflare offers it only for its entry worker, which compresses answers and costs
 * two thirds of the requests a second.)
 */
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { finished } from "node:stream/promises";
import { createServer, type TLSSocket } from "node:tls";
import type { TlsIdentity } from "./tls-files.ts";

const upstreamHost = "127.0.0.1";
const handshakeTimeoutMs = 15_000;
/** A client that has vanished from the network is given up after this and a few probes. */
const keepAliveMs = 60_000;
/** How long a client that the Worker has closed may take to close its own side, if nothing moves meanwhile. */
const lingerMs = 60_000;

/** Where the front listens, and where it passes connections on to. */
export interface TlsFrontOptions {
  identity: Pick<TlsIdentity, "cert" | "key">;
  host: string;
  /** 0 is any free port. */
  port: number;
  /** The Worker's port on 127.0.0.1. */
  upstreamPort: number;
}

/** A listener that speaks TLS. */
export interface TlsFront {
  /** The port it listens on. */
  port: number;
  /** Refuses connections from now on; those there are go on. */
  stopListening(): void;
  /**
   * To be called when the Worker has ended: waits until what it sent has left for the clients.
   *
   * @returns false if some was still here when the time was over
   */
  flush(timeoutMs: number): Promise<boolean>;
}

/** Starts listening. Rejects with the system's error where that is not possible. */
export async function startTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { identity, host, port, upstreamPort } = options;
  const server = createServer({
    cert: identity.cert,
    key: identity.key,
    minVersion: "TLSv1.2",
    // workerd speaks HTTP/1.1; a client that was offered more would use it.
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: handshakeTimeoutMs,
    // A client may end its side once its request is sent.
    allowHalfOpen: true,
    noDelay: true,
  });
  const clients = new Set<TLSSocket>();
  server.on("secureConnection", (client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    join(client, connect({ host: upstreamHost, port: upstreamPort, allowHalfOpen: true, noDelay: true }));
  });
  // Whoever does not get through the handshake is told so by TLS itself.
  server.on("tlsClientError", (_, client) => client.destroy());
  server.listen({ host, port, exclusive: true });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    stopListening: () => server.close(),
    flush: (timeoutMs) => flush(clients, timeoutMs),
  };
}

/** Passes bytes both ways, until both sides have ended or one of them breaks. */
function join(client: TLSSocket, upstream: Socket): void {
  const cut = () => {
    client.destroy();
    upstream.destroy();
  };
  client.setKeepAlive(true, keepAliveMs);
  client.on("error", cut).on("close", cut);
  upstream.on("error", cut).on("end", () => client.setTimeout(lingerMs, cut));
  client.pipe(upstream);
  upstream.pipe(client);
}

async function flush(clients: Set<TLSSocket>, timeoutMs: number): Promise<boolean> {
  const signal = AbortSignal.timeout(timeoutMs);
  const flushed = [...clients].map((client) => finished(client, { readable: false, signal }));
  const outcomes = await Promise.allSettled(flushed);
  // A client that has broken its connection off waits for nothing.
  return outcomes.every((outcome) => outcome.status === "fulfilled") || !signal.aborted;
}
