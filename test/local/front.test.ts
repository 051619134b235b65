import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "node:test";
import { connect as connectTls } from "node:tls";
import { startFront } from "../../src/local/front.ts";

/** A plain front before a server that says back what it hears. */
async function plainFront(t: test.TestContext): Promise<number> {
  const upstream = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const address = upstream.address();
  assert(typeof address === "object" && address !== null);
  const front = await startFront({
    identity: undefined,
    host: "127.0.0.1",
    port: 0,
    upstream: { port: address.port },
  });
  t.after(() => {
    front.stopListening();
    upstream.close();
  });
  return front.port;
}

test("a client that tries TLS is told at once that this is HTTP: docker does so first, and waits long", async (t) => {
  const client = connectTls({ port: await plainFront(t), host: "127.0.0.1", rejectUnauthorized: false });
  const [error] = (await once(client, "error").catch((reason: unknown) => [reason])) as [
    NodeJS.ErrnoException,
  ];
  assert.match(String(error.code), /^ERR_SSL_/);
});

test("bytes pass both ways as they are, the first ones included", async (t) => {
  const client = connect({ port: await plainFront(t), host: "127.0.0.1" });
  client.end(Buffer.concat([Buffer.from("GET / HTTP/1.1\r\n"), Buffer.alloc(3_000_000, 0x16)]));
  let received = 0;
  let first = "";
  for await (const piece of client as AsyncIterable<Buffer>) {
    if (received === 0) first = piece.subarray(0, 5).toString();
    received += piece.byteLength;
  }
  assert.deepEqual([first, received], ["GET /", 3_000_016]);
});
