/**
 * How the server and workerd talk to each other: over Unix sockets in a folder that only this user can open; or, where
 * there are none, over loopback. There each request carries a secret of this start, because every program on the machine
 * could send one.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { makeSocketFolder } from "./socket-folder.ts";

/** The address on which one of the two listens, in Node's form for listening and connecting. */
export type Channel = { path: string } | { host: string; port: number };

/** The addresses of both, and the secret that they share. */
export interface Channels {
  /** The address of workerd, for the reverse proxy. */
  worker: Channel;
  /** The address of the server, for the Worker. */
  fsync: Channel;
  /** The secret that each request carries; `undefined` if no other program could send one. */
  secret: string | undefined;
}

/** An address in the form of workerd's command line. */
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

/** A port that is free now. */
async function freePort(): Promise<Channel> {
  const host = "127.0.0.1";
  const server = createServer().listen({ host, port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return { host, port };
}
