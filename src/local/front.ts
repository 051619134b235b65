/**
 * Where the local server listens: connections are passed on, as bytes, to the Worker's own port on loopback, and
 * decrypted on the way if there is a certificate. Nothing of HTTP is read, so that nothing of what the Worker answers
 * can be changed on the way.
 *
 * It is there for two things that workerd does not do. TLS: Miniflare offers workerd's own only for its entry worker,
 * which compresses answers and costs two thirds of the requests a second. And the refusal of TLS: docker tries it
 * first with every registry on loopback, and workerd would wait for the end of what it takes for headers, until docker
 * gives up after ten seconds, at each push and pull.
 */
import { once } from "node:events";
import {
  type AddressInfo,
  connect,
  createServer as createPlainServer,
  type Server,
  type Socket,
} from "node:net";
import { finished } from "node:stream/promises";
import { createServer as createTlsServer } from "node:tls";
import type { TlsIdentity } from "./tls-files.ts";

/** What is read from the Worker at once: little at first, and twice as much as before whenever that was all filled. */
const leastRelayBytes = 64 * 1024;
const mostRelayBytes = 2 * 1024 * 1024;
/** How long a client may take to say something, or to get through the handshake. */
const greetingTimeoutMs = 15_000;
/** A client that has vanished from the network is given up after this and a few probes. */
const keepAliveMs = 60_000;
/** How long a client that the Worker has closed may take to close its own side, if nothing moves meanwhile. */
const lingerMs = 60_000;

/** Where the Worker answers. */
export type Upstream = { socketPath: string } | { port: number };

/** Where the front listens, and where it passes connections on to. */
export interface FrontOptions {
  /** With it, the front speaks TLS; without, plain HTTP. */
  identity: Pick<TlsIdentity, "cert" | "key"> | undefined;
  host: string;
  /** 0 is any free port. */
  port: number;
  /** The Worker: its Unix socket, or its port on 127.0.0.1. */
  upstream: Upstream;
}

/** The listener. */
export interface Front {
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
export async function startFront(options: FrontOptions): Promise<Front> {
  const { identity, host, port, upstream } = options;
  const clients = new Set<Socket>();
  const accept = (client: Socket) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    join(client, upstream);
  };
  const server = identity === undefined ? plainServer(accept) : tlsServer(identity, accept);
  server.listen({ host, port, exclusive: true });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    stopListening: () => server.close(),
    flush: (timeoutMs) => flush(clients, timeoutMs),
  };
}

function tlsServer(
  { cert, key }: Pick<TlsIdentity, "cert" | "key">,
  accept: (client: Socket) => void,
): Server {
  const server = createTlsServer({
    cert,
    key,
    minVersion: "TLSv1.2",
    // workerd speaks HTTP/1.1; a client that was offered more would use it.
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: greetingTimeoutMs,
    // A client may end its side once its request is sent.
    allowHalfOpen: true,
    noDelay: true,
  });
  server.on("secureConnection", accept);
  // Whoever does not get through the handshake is told so by TLS itself.
  server.on("tlsClientError", (_, client) => client.destroy());
  return server;
}

/** The first byte of a TLS handshake. No HTTP method begins with it. */
const tlsHandshake = 0x16;

const refusalOfTls =
  "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nThis registry speaks HTTP, and was asked for HTTPS.\n";

function plainServer(accept: (client: Socket) => void): Server {
  return createPlainServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const drop = () => client.destroy();
    client.setTimeout(greetingTimeoutMs, drop);
    client.on("error", drop).once("end", drop);
    client.once("data", (first: Buffer) => {
      client.setTimeout(0).off("timeout", drop).off("end", drop);
      if (first[0] === tlsHandshake) {
        client.end(refusalOfTls, drop);
        return;
      }
      client.pause();
      client.unshift(first);
      accept(client);
    });
  });
}

/** Passes bytes both ways, until both sides have ended or one of them breaks. */
function join(client: Socket, to: Upstream): void {
  // Pulls are most of what passes here: what comes from the Worker is read into one buffer over and over. A stream that
  // is piped is read in pieces of 64 KiB, each allocated, which makes a large pull three times as slow.
  let relay = new Uint8Array(leastRelayBytes);
  const passOn = (length: number, buffer: Uint8Array): boolean => {
    let isWaiting = false;
    if (length === relay.byteLength && length < mostRelayBytes) relay = new Uint8Array(2 * length);
    client.write(buffer.subarray(0, length), () => {
      if (isWaiting) upstream.resume();
    });
    // What the kernel has not taken yet is still being read from the buffer.
    isWaiting = client.writableLength > 0;
    return !isWaiting;
  };
  const upstream = connect({
    ...("port" in to ? { host: "127.0.0.1", port: to.port } : { path: to.socketPath }),
    allowHalfOpen: true,
    onread: { buffer: () => relay, callback: passOn },
  });
  const cut = () => {
    client.destroy();
    upstream.destroy();
  };
  client.setKeepAlive(true, keepAliveMs);
  client.on("error", cut).on("close", cut);
  upstream.on("error", cut).on("end", () => {
    client.end();
    client.setTimeout(lingerMs, cut);
  });
  client.pipe(upstream);
}

async function flush(clients: Set<Socket>, timeoutMs: number): Promise<boolean> {
  const signal = AbortSignal.timeout(timeoutMs);
  const flushed = [...clients].map((client) => finished(client, { readable: false, signal }));
  const outcomes = await Promise.allSettled(flushed);
  // A client that has broken its connection off waits for nothing.
  return outcomes.every((outcome) => outcome.status === "fulfilled") || !signal.aborted;
}
