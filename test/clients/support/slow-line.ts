/** A slow line to the server: a proxy that passes bytes on at a bounded rate. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { afterTest } from "../../support/ends.ts";

const pauseMs = 50;

/** Passes on what a client sends, no faster than this. */
async function passSlowly(from: Socket, to: Socket, bytesPerSecond: number): Promise<void> {
  const quota = Math.ceil((bytesPerSecond * pauseMs) / 1000);
  for await (const bytes of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < bytes.byteLength; at += quota) {
      const piece = bytes.subarray(at, at + quota);
      if (!to.write(piece)) await once(to, "drain");
      await delay((piece.byteLength / bytesPerSecond) * 1000);
    }
  }
  to.end();
}

/**
 * Listens until the end of the test, and passes what clients send on to the server; answers take their usual way.
 *
 * @param host the server's address, `127.0.0.1:<port>`
 * @param bytesPerSecond the rate of each connection
 * @returns the address that clients take for the registry's
 */
export async function startSlowLine(t: TestContext, host: string, bytesPerSecond: number): Promise<string> {
  const { hostname, port } = new URL(`http://${host}`);
  const sockets = new Set<Socket>();
  const line = createServer((client) => {
    const server = connect(Number(port), hostname);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
      socket.on("error", () => {});
    }
    server.pipe(client);
    passSlowly(client, server, bytesPerSecond).catch(() => {});
  }).listen(0, "127.0.0.1");
  await once(line, "listening");
  afterTest(t, () => {
    line.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = line.address();
  assert(typeof address === "object" && address !== null);
  return `127.0.0.1:${address.port}`;
}
