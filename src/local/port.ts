/** Checks whether an address is free before workerd starts, because workerd's own error is hard to understand. */
import { createServer } from "node:net";

const reasons: Record<string, string> = {
  EADDRINUSE: "another program is listening there; choose another port with --port",
  EADDRNOTAVAIL: "this machine does not have that address",
  EACCES: "this user may not listen on that port; choose one from 1024 with --port",
};

/**
 * Listens on the address for a moment.
 *
 * @returns why that is impossible, in a sentence without a full stop; undefined if it is possible
 */
export async function whyNotListen(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(reasons[error.code ?? ""] ?? error.message);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
