/** The port on which a proxy listens. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

/** Where to listen. `tls`: a certificate and its key, in PEM. */
export type ListenOptions = { host: string; port: number; tls?: { cert: string; key: string } | undefined };

/** A port that is open. */
export type OpenPort = { host: string; close(): Promise<void> };

const headersMs = 60_000;
/** Clients keep connections between layers. */
const idleMs = 100_000;

/** Listens; rejects with the system's error where that cannot be. */
export async function listen(
  listener: RequestListener,
  { host, port, tls }: ListenOptions,
): Promise<OpenPort> {
  // A body may take any time: a layer is large, and a registry may be slow.
  const options = { requestTimeout: 0, headersTimeout: headersMs, keepAliveTimeout: idleMs };
  const server: Server =
    tls === undefined ? createServer(options, listener) : createTlsServer({ ...options, ...tls }, listener);
  // A client that waits for permission to send its body gets it when the body is read.
  server.on("checkContinue", listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port: given } = server.address() as AddressInfo;
  return {
    host: `${host.includes(":") ? `[${host}]` : host}:${given}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
