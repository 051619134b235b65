/** Bodies: leave to send them, deadlines, what is refused, and buffers that do not grow. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import test, { describe } from "node:test";
import { until } from "../program.ts";
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
} from "./support.ts";

const put = (length: number, ...lines: string[]) =>
  `PUT /v2/a HTTP/1.1\r\n${["Host: a", `Content-Length: ${length}`, ...lines].join("\r\n")}\r\n\r\n`;
const expecting = "Expect: 100-continue";
const unauthorized = ok("no", "401 Unauthorized");
const mebibyte = 1024 * 1024;
/** What kernels and programs may hold between them of what nobody takes. */
const mostHeld = 24 * mebibyte;

/** How long {@link pour} waits for bytes to be taken, in milliseconds. */
const pouredMs = 2000;

/** Writes until so many bytes were taken, or nothing is taken for a while. Returns how many were. */
async function pour(socket: Socket, size: number): Promise<number> {
  const piece = Buffer.alloc(mebibyte);
  let taken = 0;
  for (; taken < size && !socket.destroyed; taken += piece.byteLength) {
    const isTaken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), pouredMs);
      socket.write(piece, () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (!isTaken) return taken;
  }
  return taken;
}

for (const runtime of Object.keys(runtimes) as Runtime[]) {
  describe(`bodies under ${runtime}`, () => {
    test("a client that waits for leave gets it when the Worker has not refused", async (t) => {
      const { path } = await startUpstream(t, ({ text, socket }) => {
        if (text.endsWith("hello")) socket.write(ok("done", "201 Created"));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const client = new RawClient(port);
      client.write(put(5, expecting));
      await until("leave", () => client.text === "HTTP/1.1 100 Continue\r\n\r\n");
      client.write("hello");
      await until("the answer", () => client.text.endsWith("\r\n\r\ndone"));
      client.socket.destroy();
    });

    test("who is refused gets no leave, and none of the body goes to workerd", async (t) => {
      const { path, passed } = await startUpstream(t, ({ socket }) => socket.write(unauthorized));
      const limits = { continueMs: 5000 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const client = new RawClient(port);
      client.write(put(5, expecting));
      await until("the answer", () => client.text.endsWith("\r\n\r\nno"));
      assert.match(client.text, /^HTTP\/1\.1 401 Unauthorized\r\n.*\r\nConnection: close\r\n/s);
      client.write("hello");
      await until("the end", () => client.isClosed);
      assert.equal(passed.length, 1);
      const [{ text = "", socket } = {}] = passed;
      assert(socket !== undefined);
      if (!socket.closed) await once(socket, "close");
      assert.match(text, /\r\n\r\n$/);
      assert.doesNotMatch(text, /expect/i);
    });

    test("what follows the body of who was refused so is not served", async (t) => {
      const { path, passed } = await startUpstream(t, ({ socket }) => socket.write(unauthorized));
      const { port } = await startFrontProcess(t, runtime, {
        upstream: { path },
        limits: { continueMs: 5000 },
      });
      const client = new RawClient(port);
      client.write(put(5, expecting));
      await until("the answer", () => client.text.endsWith("\r\n\r\nno"));
      client.write("helloDELETE /v2/a HTTP/1.1\r\nHost: a\r\n\r\n");
      await until("the end", () => client.isClosed);
      assert.equal(passed.length, 1);
      assert.equal(client.text.split("HTTP/1.1").length, 2);
    });

    test("an answer without a body arrives while that of the request is awaited", async (t) => {
      const { path } = await startUpstream(t, ({ socket }) => socket.write(ok("", "404 Not Found")));
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const lines of [[], [expecting]]) {
        const client = new RawClient(port);
        client.write(put(5, ...lines));
        await until("the answer", () => /^HTTP\/1\.1 404 .*\r\n\r\n$/s.test(client.text));
        client.socket.destroy();
      }
    });

    test("a refused body is read for a while, and then the connection serves again", async (t) => {
      const { path, passed } = await startUpstream(t, (one) => {
        if (one.text.startsWith("GET")) answerAll(one);
        else one.socket.write(unauthorized);
      });
      const limits = { drainBytes: mebibyte };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const client = new RawClient(port);
      client.write(put(mebibyte));
      client.write(Buffer.alloc(1000));
      await until("the answer", () => client.text.endsWith("no"));
      client.write(Buffer.alloc(mebibyte - 1000));
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until("the next answer", () => client.text.endsWith("answer"));
      client.socket.destroy();
      assert((passed[0]?.text.length ?? 0) < mebibyte);
    });

    test("a connection on which workerd awaits the rest of a refused body is not used again", async (t) => {
      const { path, passed } = await startUpstream(t, (one) => {
        if (one.text.startsWith("GET")) answerAll(one);
        else if (one.text.endsWith("hello"))
          one.socket.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n");
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const client = new RawClient(port);
      client.write(`${put(10)}hello`);
      await until("the head of the answer", () => client.text.endsWith("\r\n\r\n"));
      client.write("world");
      // The reverse proxy has read it once it answers somebody else.
      assert.equal(statusOf(await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 200);
      passed[0]?.socket.write("no");
      await until("the answer", () => client.text.endsWith("no"));
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until("the next answer", () => client.text.endsWith("answer"));
      client.socket.destroy();
      assert.match(passed[0]?.text ?? "", /\r\n\r\n(?:hello)?$/);
    });

    test("of a refused body no more is read than a bound, for no longer than a bound", async (t) => {
      const { path } = await startUpstream(t, ({ socket }) => socket.write(unauthorized));
      const limits = { drainBytes: 1000, drainMs: 3000, sweepMs: 100 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const client = new RawClient(port);
      client.write(put(1024 * mebibyte));
      assert((await pour(client.socket, 1024 * mebibyte)) < mostHeld);
      assert.equal(statusOf(client.text), 401);
      await until("the end", () => client.isClosed);
    });

    test("a body that stands still ends with 408, and workerd hears of it", async (t) => {
      const { path, passed } = await startUpstream(t, () => {});
      const limits = { silenceMs: 500, sweepMs: 100 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const client = new RawClient(port);
      client.write(`${put(60_000)}hello`);
      await until("the end", () => client.isClosed);
      assert.match(client.text, /^HTTP\/1\.1 408 .*\r\nConnection: close\r\n.*"errors":\[/s);
      await until("workerd's end", () => passed[0]?.socket.closed);
    });

    test("headers that do not come end with 408", async (t) => {
      const { path } = await startUpstream(t, answerAll);
      const limits = { headersMs: 500, sweepMs: 100 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const [silent, slow] = [new RawClient(port), new RawClient(port)];
      slow.write("GET / HTTP/1.1\r\nHo");
      await until("the ends", () => silent.isClosed && slow.isClosed);
      for (const { text } of [silent, slow]) assert.equal(statusOf(text), 408, text);
    });

    test("a client that goes away amid its body, or is cut off, takes its request with it", async (t) => {
      const { path, passed } = await startUpstream(t, () => {});
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const partings: [bytes: string, part: (socket: Socket) => void][] = [
        [`${put(100)}half`, (socket) => socket.end()],
        [`${put(100)}half`, (socket) => socket.resetAndDestroy()],
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", (socket) => socket.resetAndDestroy()],
      ];
      for (const [bytes, part] of partings) {
        const client = new RawClient(port);
        client.write(bytes);
        const request = await until("the request", () => passed.pop());
        part(client.socket);
        await until("workerd's end", () => request.socket.closed);
      }
    });

    test("a client that does not read holds up what is sent to it, and gets all of it in the end", async (t) => {
      const size = 64 * mebibyte;
      const { path, passed } = await startUpstream(t, ({ socket }) =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`),
      );
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const client = new RawClient(port);
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until("the head", () => client.text !== "");
      const headBytes = client.text.length;
      client.socket.removeAllListeners("data").pause();
      const upstream = passed[0]?.socket;
      assert(upstream !== undefined);
      const taken = await pour(upstream, size);
      assert(taken < mostHeld, `${taken} bytes are held`);
      let received = 0;
      client.socket.on("data", (piece) => {
        received += piece.byteLength;
      });
      client.socket.resume();
      upstream.write(Buffer.alloc(size - taken - mebibyte));
      await until("all of it", () => received >= size - (client.text.length - headBytes));
      client.socket.destroy();
    });

    test("what workerd does not read is not read from the client", async (t) => {
      const { path } = await startUpstream(t, ({ socket }) => socket.pause());
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const client = new RawClient(port);
      client.write(put(1024 * mebibyte));
      const taken = await pour(client.socket, 64 * mebibyte);
      assert(taken < mostHeld, `${taken} bytes are held`);
      client.socket.destroy();
    });

    test("and the client is not too slow then", async (t) => {
      let isReading = false;
      const { path, passed } = await startUpstream(t, ({ socket }) => {
        if (!isReading) socket.pause();
      });
      // A pause of this test itself, before and after it is held up, counts as one of the client.
      const limits = { silenceMs: pouredMs - 500, sweepMs: 50 };
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, limits });
      const client = new RawClient(port);
      client.write(put(1024 * mebibyte));
      await pour(client.socket, 64 * mebibyte);
      assert.equal(client.text, "");
      assert.equal(client.isClosed, false);
      isReading = true;
      passed[0]?.socket.resume();
      assert.equal(await pour(client.socket, mostHeld), mostHeld);
      client.socket.destroy();
    });
  });
}
