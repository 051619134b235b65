/** What the reverse proxy does when workerd is away, and when there are too many connections. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import test, { describe } from "node:test";
import { connectionCap } from "../../../src/local/proxy/descriptors.ts";
import { startProxy } from "../../../src/local/proxy/proxy.ts";
import { afterTest } from "../../support/ends.ts";
import { temporaryDirectory, until } from "../program.ts";
import {
  answerAll,
  ok,
  RawClient,
  type Runtime,
  runtimes,
  startFrontProcess,
  startUpstream,
  statusOf,
  talk,
  untilClosed,
} from "./support.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const remove = "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n";
/** Its end would have to be sent again as well. */
const emptyBody = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

for (const runtime of Object.keys(runtimes) as Runtime[]) {
  describe(`trouble under ${runtime}`, () => {
    test("while workerd is away it is 503, with the time to wait", async (t) => {
      const path = join(temporaryDirectory(t), "nobody");
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const bytes of [get, post]) {
        const answer = await talk(port, bytes);
        assert.match(answer, /^HTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n.*"code":"UNAVAILABLE"/s);
        assert.match(answer, /\r\nDocker-Distribution-Api-Version: registry\/2\.0\r\n/);
      }
    });

    test("a request that workerd never saw goes to a new connection, unless that could do it twice", async (t) => {
      const { path, passed } = await startUpstream(t, (one) => {
        const heads = one.text.split("\r\n\r\n").length - 1;
        if (heads === 1) one.socket.write(ok("answer"));
        // As if it had closed the connection just when the request came.
        else one.socket.destroy();
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      assert.equal(statusOf(await talk(port, get)), 200);
      assert.equal(statusOf(await talk(port, get)), 200);
      assert.equal(passed.length, 2);
      for (const [count, bytes] of [post, remove, emptyBody].entries()) {
        assert.equal(statusOf(await talk(port, bytes)), 503);
        assert.equal(passed.length, 2 + count);
        assert.equal(statusOf(await talk(port, get)), 200);
      }
    });

    test("a connection that workerd is about to close serves no other request", async (t) => {
      const last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nanswer";
      const { path, passed } = await startUpstream(t, ({ socket }) => socket.write(last));
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const count of [1, 2]) {
        assert.equal(statusOf(await talk(port, post)), 200);
        assert.equal(passed.length, count);
      }
    });

    test("a request on a new connection that breaks is not repeated", async (t) => {
      const { path, passed } = await startUpstream(t, ({ socket }) => socket.destroy());
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      assert.equal(statusOf(await talk(port, get)), 503);
      assert.equal(passed.length, 1);
    });

    test("an answer that breaks off breaks the connection off", async (t) => {
      const { path } = await startUpstream(t, ({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`);
        setTimeout(() => socket.destroy(), 100);
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const answer = await talk(port, get, untilClosed);
      assert.match(answer, /\r\nContent-Length: 100000\r\n/);
      assert(answer.length < 60_000);
    });

    test("what is no answer of HTTP is 503 before its head, and breaks the connection off after it", async (t) => {
      const large = "1".repeat(70_000);
      const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
      const answers: [what: string, bytes: string, status: number][] = [
        ["no status", "HTTP/1.1 abc\r\n\r\n", 503],
        ["a head that does not end", `HTTP/1.1 200 OK\r\nX: ${large}`, 503],
        ["a body whose end nothing shows", "HTTP/1.1 200 OK\r\n\r\nbody", 503],
        ["a chunk without a size", `${chunked}2\r\nhe\r\nno size\r\n0\r\n\r\n`, 200],
        ["a size that does not end", `${chunked}2\r\nhe\r\n${large}`, 200],
      ];
      let [, bytes] = answers[0] ?? ["", ""];
      const { path } = await startUpstream(t, ({ socket }) => socket.write(bytes));
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const [what, sent, status] of answers) {
        bytes = sent;
        const answer = await talk(port, get, status === 503 ? undefined : untilClosed);
        assert.equal(statusOf(answer), status, what);
        assert(!answer.endsWith("0\r\n\r\n"), what);
      }
    });

    test("an interim answer is not passed on, and a connection with more than an answer serves no other", async (t) => {
      const { path, passed } = await startUpstream(t, ({ socket }) =>
        socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${ok("first")}${ok("second")}`),
      );
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const count of [1, 2]) {
        assert.match(await talk(port, get), /^HTTP\/1\.1 200 .*first$/s);
        assert.equal(passed.length, count);
      }
    });

    test("beyond the connections that there may be it is 503, until one of them ends", async (t) => {
      const { path } = await startUpstream(t, answerAll);
      const limits = { connections: 3 };
      const { port, program } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const waiting = [1, 2, 3].map(() => new RawClient(port));
      for (const { socket } of waiting) await once(socket, "connect");
      await until("a refusal", async () => statusOf(await talk(port, get, untilClosed)) === 503);
      const warning = "there are 3 connections, and no more are taken\n";
      await until("the warning", () => program.stderr === warning);
      assert.equal(statusOf(await talk(port, get, untilClosed)), 503);
      waiting.pop()?.socket.destroy();
      await until("an answer", async () => statusOf(await talk(port, get)) === 200);
      assert.equal(program.stderr, warning, "it is said once in a minute");
      for (const { socket } of waiting) socket.destroy();
    });

    test("connections without a request make room", async (t) => {
      const { path } = await startUpstream(t, answerAll);
      const limits = { connections: 2 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const kept = [1, 2].map(() => new RawClient(port));
      for (const client of kept) {
        client.write(get);
        await until("an answer", () => client.text.endsWith("answer"));
      }
      await until("an answer", async () => statusOf(await talk(port, get)) === 200);
      assert(kept.every(({ isClosed }) => isClosed));
    });

    test("a client that asks for a tunnel, and closes nothing, takes no room", async (t) => {
      const { path } = await startUpstream(t, answerAll);
      const limits = { connections: 2 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const open = [1, 2].map(() => connect({ port, host: "127.0.0.1", allowHalfOpen: true }));
      for (const socket of open) {
        socket.on("error", () => {}).write("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
        await once(socket.resume(), "end");
      }
      await until("an answer", async () => statusOf(await talk(port, get)) === 200);
      for (const socket of open) socket.destroy();
    });

    // Deno accepts nothing any more once there was no file descriptor left, so that there the cap has to prevent it.
    const limited: [files: number, connections: number | undefined, refused: number][] =
      runtime === "node"
        ? [
            [80, undefined, 180],
            [80, 1000, 120],
          ]
        : [[400, undefined, 100]];
    for (const [files, connections, refused] of limited) {
      const cap = connections === undefined ? "its own" : String(connections);
      test(`with ${files} file descriptors and a cap of ${cap} it sheds load, and recovers`, async (t) => {
        const { path } = await startUpstream(t, answerAll);
        const options = { upstream: { path }, limits: { connections } };
        const { port, program } = await startFrontProcess(t, runtime, options, files);
        const clients = Array.from({ length: 200 }, () => new RawClient(port));
        await until("refusals", () => clients.filter(({ isClosed }) => isClosed).length >= refused);
        for (const { socket } of clients) socket.destroy();
        await until("an answer", async () => statusOf(await talk(port, get)) === 200);
        assert(!program.hasEnded);
      });
    }
  });
}

test("requests that were answered are not waited for at the end", async (t) => {
  const { path } = await startUpstream(t, answerAll);
  const proxy = await startProxy({ identity: undefined, host: "127.0.0.1", port: 0, upstream: { path } });
  afterTest(t, () => proxy.stopListening());
  assert.equal(statusOf(await talk(proxy.port, get)), 200);
  assert.equal(await proxy.flush(5_000), true);
});

test("the cap on connections leaves room for workerd's and for files", () => {
  const caps = [64, 256, 1024, 4096, 1_048_576].map(connectionCap);
  assert.deepEqual(caps, [8, 32, 192, 960, 8192]);
});

test("a client that gets its answer while the server stops is told to connect anew", async (t) => {
  const { path, passed } = await startUpstream(t, () => {});
  const proxy = await startProxy({ identity: undefined, host: "127.0.0.1", port: 0, upstream: { path } });
  const client = new RawClient(proxy.port);
  client.write(get);
  await until("the request", () => passed.length > 0);
  proxy.stopListening();
  passed[0]?.socket.write(ok("answer"));
  await until("the end", () => client.isClosed);
  assert.match(client.text, /^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*answer$/s);
});
