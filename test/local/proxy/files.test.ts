/** Answers that name files: whose bytes are sent, and when the Worker is asked for them instead. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { describe, type TestContext } from "node:test";
import type { FileRange } from "../../../src/storage/disk-files.ts";
import { mebibyte } from "../../../src/units.ts";
import { temporaryDirectory, until } from "../program.ts";
import {
  type FixtureOptions,
  ok,
  type Passed,
  RawClient,
  type Runtime,
  runtimes,
  startFrontProcess,
  startUpstream,
  statusOf,
  talk,
  untilClosed,
} from "./support.ts";

const get = (version = "1.1", ...lines: string[]) =>
  `GET /blob HTTP/${version}\r\n${["Host: a", ...lines].join("\r\n")}\r\n\r\n`;
const marker = /^stowage-files: (.*)\r$/gim;
const fromWorkerd = "the bytes from workerd";

/** An answer that names files. `length`: of all bytes, if it is not that of the ranges. */
function naming(list: unknown, length?: number): string {
  const ranges = Array.isArray(list) ? list : [];
  const body = typeof list === "string" ? list : ranges.map((range) => `${JSON.stringify(range)}\n`).join("");
  const sum = ranges.reduce((total, { range }) => total + range.length, 0);
  const headers = ['ETag: "a"', `Stowage-Files: ${length ?? sum}`, `Content-Length: ${body.length}`];
  return `HTTP/1.1 200 OK\r\n${headers.join("\r\n")}\r\n\r\n${body}`;
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** How many heads a connection has passed on. */
const headsOf = ({ text }: Passed) => text.split("\r\n\r\n").length - 1;

/** A folder of files, and a workerd that names some of them to those who take files, and else has the bytes. */
async function start(
  t: TestContext,
  runtime: Runtime,
  answer: () => string,
  more: Partial<FixtureOptions> = {},
) {
  const files = join(temporaryDirectory(t), "files");
  const heads: string[] = [];
  const { path, passed } = await startUpstream(t, (one) => {
    if (!one.text.endsWith("\r\n\r\n")) return;
    const head = one.text.split("\r\n\r\n").at(-2) ?? "";
    heads.push(`${head}\r\n`);
    one.socket.write(/\r\nstowage-files: /i.test(head) ? answer() : ok(fromWorkerd));
  });
  const front = await startFrontProcess(t, runtime, { upstream: { path }, files, ...more });
  return { ...front, files, heads, passed };
}

/** Writes a file of a key; returns its path and size, as a range of it begins. */
function write(files: string, path: string, text: string): (offset: number, length: number) => FileRange {
  const file = join(files, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return (offset, length) => ({ path, sizeBytes: text.length, range: { offset, length } });
}

const newWhole = () => `wholes/${randomUUID()}`;

for (const runtime of Object.keys(runtimes) as Runtime[]) {
  describe(`answers that name files under ${runtime}`, () => {
    test("their bytes are sent in order, with the answer's headers, on connections that serve again", async (t) => {
      let ranges: FileRange[] = [];
      const { port, files, heads, passed } = await start(t, runtime, () => naming(ranges));
      const key = `blobs/${randomUUID()}`;
      ranges = [
        write(files, `${key}/${randomUUID()}`, "0123456789")(7, 3),
        write(files, `${key}/${randomUUID()}`, "abc")(0, 3),
        write(files, newWhole(), "xyz")(1, 1),
      ];
      // The second is sent before the first is answered.
      const answers = await talk(
        port,
        get() + get(),
        (text) => text.endsWith("789abcy") && text.split("789abcy").length === 3,
      );
      const [first = "", second = ""] = answers.split("789abcy");
      for (const head of [first, second]) {
        assert.match(head, /^HTTP\/1\.1 200 OK\r\nETag: "a"\r\nContent-Length: 7\r\n/);
        assert.doesNotMatch(head, /stowage/i);
      }
      assert.equal(heads.length, 2);
      assert.equal(passed.length, 1, "both went over one connection to workerd");
    });

    test("a client's own header is dropped, and only a GET takes files", async (t) => {
      const { port, heads } = await start(t, runtime, () => naming([]));
      for (const method of ["GET", "HEAD", "POST"]) {
        const request = `${method} / HTTP/1.1\r\nHost: a\r\nStowage-Files: forged\r\nSTOWAGE-FILES: 1\r\n\r\n`;
        assert.equal(statusOf(await talk(port, request, (text) => text.includes("\r\n\r\n"))), 200);
        const said = Array.from(heads.at(-1)?.matchAll(marker) ?? [], ([, value]) => value);
        assert.deepEqual(said, method === "GET" ? ["yes"] : []);
      }
    });

    test("HTTP/1.0 gets the same, and the end of its connection", async (t) => {
      let ranges: FileRange[] = [];
      const { port, files } = await start(t, runtime, () => naming(ranges));
      ranges = [write(files, newWhole(), "hello")(0, 5)];
      const answer = await talk(port, get("1.0"), untilClosed);
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*\r\nContent-Length: 5\r\n.*\r\n\r\nhello$/s);
    });

    test("a list that is not one of files with bytes is not followed: workerd is asked for the bytes", async (t) => {
      let list: unknown;
      let length: number | undefined;
      const { port, files, heads } = await start(t, runtime, () => naming(list, length));
      const path = newWhole();
      const range = write(files, path, "hello")(0, 5);
      const id = randomUUID();
      write(files, `blobs/${id}/index`, "hello");
      writeFileSync(join(dirname(files), id), "hello");
      const wrong: [unknown, number?][] = [
        ["not JSON\n", 5],
        [`${JSON.stringify([range])}\n`, 5],
        [JSON.stringify(range), 5],
        [[{ ...range, path: `../${id}` }]],
        [[{ ...range, path: `wholes/../../${id}` }]],
        [[{ ...range, path: join(files, path) }]],
        [[{ ...range, path: `blobs/${id}/index` }]],
        [[{ ...range, path: `blobs/${id}` }]],
        [[{ ...range, path: "wholes" }]],
        [[{ ...range, path: newWhole() }]],
        [[{ ...range, sizeBytes: 6 }]],
        [[{ ...range, range: { offset: 1, length: 5 } }]],
        [[{ ...range, range: { offset: -1, length: 5 } }]],
        [[range], 4],
      ];
      for (const [each, said] of wrong) {
        [list, length] = [each, said];
        const before = heads.length;
        const answer = await talk(port, get());
        assert(answer.endsWith(`\r\n\r\n${fromWorkerd}`), JSON.stringify(each));
        assert.equal(heads.length, before + 2);
        assert.doesNotMatch(heads.at(-1) ?? "", /stowage-files/i);
      }
    });

    test("files are sent as their list comes, and a list that is cut short breaks the answer off", async (t) => {
      const files = join(temporaryDirectory(t), "files");
      const [first, second] = [
        write(files, newWhole(), "hello")(0, 5),
        write(files, newWhole(), "world")(0, 5),
      ];
      const { path, passed } = await startUpstream(t, ({ socket }) => {
        socket.write("HTTP/1.1 200 OK\r\nStowage-Files: 10\r\nTransfer-Encoding: chunked\r\n\r\n");
        socket.write(chunk(`${JSON.stringify(first)}\n${JSON.stringify(second).slice(0, 30)}`));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, files });
      const rests = [
        { rest: chunk(`${JSON.stringify(second).slice(30)}\n`) + chunk(""), isAll: true },
        // workerd ends an answer that breaks off as if it were whole.
        { rest: chunk(""), isAll: false },
        { rest: chunk(`\n${JSON.stringify(first)}\n${JSON.stringify(second)}\n`) + chunk(""), isAll: false },
        { rest: undefined, isAll: false },
      ];
      for (const { rest, isAll } of rests) {
        const client = new RawClient(port);
        client.write(get("1.1", "Connection: close"));
        await until("the first file", () => client.text.endsWith("\r\n\r\nhello"));
        assert.match(client.text, /\r\nContent-Length: 10\r\n/);
        const workerd = passed.at(-1)?.socket;
        if (rest === undefined) workerd?.destroy();
        else workerd?.write(rest);
        await until("the end", () => client.isClosed);
        assert.equal(client.text.endsWith("helloworld"), isAll, client.text);
      }
    });

    test("workerd sees that the client of a list that grows has left", async (t) => {
      const files = join(temporaryDirectory(t), "files");
      const range = write(files, newWhole(), "hello")(0, 5);
      const { path, passed } = await startUpstream(t, ({ socket }) => {
        socket.write("HTTP/1.1 200 OK\r\nStowage-Files: 10\r\nTransfer-Encoding: chunked\r\n\r\n");
        socket.write(chunk(`${JSON.stringify(range)}\n`));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, files });
      const client = new RawClient(port);
      client.write(get());
      await until("the first file", () => client.text.endsWith("hello"));
      client.socket.resetAndDestroy();
      await until("the end", () => passed[0]?.socket.destroyed);
    });

    test("a file that is gone, or shorter, once bytes were sent breaks the connection off", async (t) => {
      let ranges: FileRange[] = [];
      const { port, files, heads } = await start(t, runtime, () => naming(ranges));
      const first = write(files, newWhole(), "hello")(0, 5);
      const missing = { ...first, path: newWhole() };
      const path = newWhole();
      const short = write(files, path, "world")(0, 5);
      truncateSync(join(files, path), 4);
      for (const second of [missing, short]) {
        ranges = [first, second];
        const answer = await talk(port, get(), untilClosed);
        assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*\r\nContent-Length: 10\r\n.*\r\n\r\nhello$/s);
      }
      assert.equal(heads.length, 2);
    });

    test("a file that becomes shorter while it is sent breaks the connection off", async (t) => {
      let ranges: FileRange[] = [];
      const { port, files } = await start(t, runtime, () => naming(ranges));
      const path = newWhole();
      const sizeBytes = 256 * mebibyte;
      write(files, path, "");
      truncateSync(join(files, path), sizeBytes);
      ranges = [{ path, sizeBytes, range: { offset: 0, length: sizeBytes } }];
      const client = new RawClient(port);
      client.write(get());
      await until("some bytes", () => client.text.length > mebibyte);
      client.socket.pause();
      truncateSync(join(files, path), mebibyte);
      client.socket.resume();
      await until("the end", () => client.isClosed);
      assert(client.text.length < sizeBytes);
    });

    test("workerd that ends within the list leaves nothing half answered", async (t) => {
      const files = temporaryDirectory(t);
      const range = write(files, newWhole(), "hello")(0, 5);
      const { path } = await startUpstream(t, ({ socket }) => socket.end(naming([range]).slice(0, -1)));
      const { port } = await startFrontProcess(t, runtime, { upstream: { path }, files });
      assert.equal(statusOf(await talk(port, get())), 503);
    });

    test("without a folder of files, an answer that names some is none", async (t) => {
      const { path, passed } = await startUpstream(t, ({ socket }) => socket.write(naming([])));
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      assert.equal(statusOf(await talk(port, get())), 503);
      assert.equal(passed.map(headsOf).join(), "1");
    });

    test("files are closed when their client leaves, or has read nothing for too long", async (t) => {
      let ranges: FileRange[] = [];
      const limits = { unreadMs: 2000, sweepMs: 50 };
      const { port, files, program } = await start(t, runtime, () => naming(ranges), { limits });
      const path = newWhole();
      // To read all of it for nobody would take minutes.
      const sizeBytes = 1024 * 1024 * mebibyte;
      write(files, path, "");
      truncateSync(join(files, path), sizeBytes);
      ranges = [{ path, sizeBytes, range: { offset: 0, length: sizeBytes } }];
      const isOpen = () =>
        readdirSync(`/proc/${program.pid}/fd`).some((fd) => {
          try {
            return readlinkSync(`/proc/${program.pid}/fd/${fd}`) === join(files, path);
          } catch {
            return false;
          }
        });
      const silent = new RawClient(port);
      silent.socket.pause();
      silent.write(get());
      const leaving = new RawClient(port);
      leaving.write(get());
      await until("an open file", isOpen);
      await until("some bytes", () => leaving.text.length > mebibyte);
      leaving.socket.destroy();
      await until("that all files are closed", () => !isOpen());
      ranges = [write(files, newWhole(), "hello")(0, 5)];
      assert.match(await talk(port, get()), /hello$/);
      silent.socket.resume();
      await until("the end of the one that did not read", () => silent.isClosed);
      assert(silent.text.length < 32 * mebibyte, `it got ${silent.text.length} bytes`);
    });
  });
}
