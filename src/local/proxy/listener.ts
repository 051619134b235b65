/** The runtime's HTTP servers, and which connections they accept. */
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { TlsIdentity } from "../tls-files.ts";
import { connectionCap } from "./descriptors.ts";
import type { ProxyLimits } from "./limits.ts";
import { endWith, refusalText, tlsHandshake, unavailable, wrongProtocol } from "./refusals.ts";

/** A certificate with the chain to its issuer, and its key, both in PEM. */
export type ProxyIdentity = Pick<TlsIdentity, "cert" | "key">;

/** A server that is not listening yet. */
export interface Listener {
  server: HttpServer | HttpsServer;
  /** Makes new connections use another certificate. Throws if it cannot be used, or the server does not speak TLS. */
  renew(identity: ProxyIdentity): void;
}

/** A connection whose client has vanished from the network is closed after this and a few probes. */
const keepAliveMs = 60_000;
/** How many connections may be open only to be refused; further ones are closed without an answer. */
const mostRefusals = 16;
const warnEveryMs = 60_000;

const tlsOptions = ({ cert, key }: ProxyIdentity) => ({ cert, key, minVersion: "TLSv1.2" as const });

/** Makes a server: for HTTPS with an identity, for HTTP without. */
export function createListener(
  identity: ProxyIdentity | undefined,
  limits: ProxyLimits,
  warn: (message: string) => void,
): Listener {
  const options = {
    headersTimeout: limits.headersMs,
    // Bodies have deadlines of their own; see proxied-request.ts.
    requestTimeout: 0,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: limits.sweepMs,
    maxHeaderSize: limits.headerBytes,
    // It is checked where a refusal can say so.
    requireHostHeader: false,
    noDelay: true,
    // A client may end its side once its request is sent.
    allowHalfOpen: true,
  };
  const secure =
    identity &&
    createHttpsServer({ ...options, ...tlsOptions(identity), handshakeTimeout: limits.headersMs });
  const server = secure ?? createHttpServer(options);
  // No header is dropped because there are many: their size is bounded.
  server.maxHeadersCount = 0;
  Object.assign(server, { httpAllowHalfOpen: true });
  admit(server, limits, secure === undefined ? undefined : limits.headersMs, rarely(warn));
  // TLS itself tells the client that the handshake failed.
  secure?.on("tlsClientError", (_, client) => client.destroy());
  return {
    server,
    renew: (next) => {
      if (secure === undefined) throw new TypeError("a server of plain HTTP has no certificate");
      secure.setSecureContext(tlsOptions(next));
    },
  };
}

/** Refuses connections before the server gets them: too many, or plain HTTP where TLS is spoken. */
function admit(
  server: HttpServer | HttpsServer,
  { connections = connectionCap() }: ProxyLimits,
  greetingMs: number | undefined,
  warn: (message: string) => void,
): void {
  const handlers = server.listeners("connection");
  const serve = (socket: Socket) => {
    for (const handler of handlers) handler.call(server, socket);
  };
  let open = 0;
  let refusing = 0;
  const accept = (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    if (open >= connections) {
      // Idle connections are closed first: their clients connect again when they need to.
      server.closeIdleConnections();
      warn(`there are ${connections} connections, and no more are taken`);
      if (refusing >= mostRefusals) {
        socket.destroy();
        return;
      }
      refusing++;
      socket.once("close", () => refusing--);
      endWith(socket, greetingMs === undefined ? refusalText(503, unavailable) : "");
      return;
    }
    open++;
    socket.once("close", () => open--);
    socket.setKeepAlive(true, keepAliveMs);
    if (greetingMs === undefined) serve(socket);
    else greet(socket, greetingMs, serve);
  };
  server.removeAllListeners("connection").on("connection", accept);
  // A system error, such as no free file descriptor: the connection is lost, but the server is not.
  server.on("error", (error: NodeJS.ErrnoException) => {
    if (!server.listening) return;
    server.closeIdleConnections();
    warn(`a connection could not be taken: ${error.message}`);
  });
}

/** Looks at the first byte of a connection: otherwise plain HTTP would only get the bytes of a failed handshake. */
function greet(socket: Socket, timeoutMs: number, serve: (socket: Socket) => void): void {
  const drop = () => socket.destroy();
  socket.setTimeout(timeoutMs, drop);
  socket.once("data", (first: Buffer) => {
    socket.setTimeout(0).off("timeout", drop);
    if (first[0] === tlsHandshake) {
      socket.pause();
      socket.unshift(first);
      serve(socket);
    } else endWith(socket, wrongProtocol(true));
  });
}

/** Reports something, at most once in a while. */
function rarely(say: (message: string) => void): (message: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (message) => {
    const now = performance.now();
    if (now - saidAt < warnEveryMs) return;
    saidAt = now;
    say(message);
  };
}
