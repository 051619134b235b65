/**
 * How the server and workerd talk to each other: over Unix sockets in a folder that only this user can open; or, where
 * there are none, over loopback, where requests carry a secret of this start, as every program on the machine could send
 * some.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { makeSocketFolder } from "./socket-folder.ts";

/** Where one of the two listens, in the form that Node takes for listening and connecting. */
export type Channel = { path: string } | { host: string; port: number };

/** The addresses of both, and the secret that they share. */
export interface Channels {
  /** Where workerd listens, for the reverse proxy. */
  worker: Channel;
  /** Where the server listens, for the Worker. */
  fsync: Channel;
  /** What each request carries; `undefined` where no other program could send one. */
  secret: string | undefined;
}

/** An address as workerd takes it on its command line. */
export function workerdAddress(channel: Channel): string {
  return "path" in channel ? `unix:${channel.path}` : `${channel.host}:${channel.port}`;
}

/**
 * Chooses channels for a server on a data directory. They end with this process.
 *
 * @param hasUnixSockets whether workerd can listen on them: on Windows it cannot
 */
export async function openChannels(
  dataDirectory: string,
  hasUnixSockets: boolean = process.platform !== "win32" && process.env.STOWAGE_CHANNELS !== "tcp",
): Promise<Channels> {
  if (!hasUnixSockets) {
    const [worker, fsync] = await Promise.all([freePort(), freePort()]);
    return { worker, fsync, secret: randomBytes(32).toString("hex") };
  }
  const folder = makeSocketFolder(dataDirectory);
  return {
    worker: { path: join(folder, "worker") },
    fsync: { path: join(folder, "fsync") },
    secret: undefined,
  };
}

/** A port that nobody listens on now. */
async function freePort(): Promise<Channel> {
  const host = "127.0.0.1";
  const server = createServer().listen({ host, port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return { host, port };
}
