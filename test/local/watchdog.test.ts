import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { watch } from "../../src/local/workerd/watchdog.ts";
import { afterTest, endAfterTest } from "../support/ends.ts";
import { temporaryData } from "../support/temporary.ts";
import { until } from "./program.ts";

const times = { everyMs: 10, mostSilent: 20 };

test("only a workerd that stops answering hangs, however late it is", async (t) => {
  let [asked, isAnswering] = [0, true];
  const server = createServer((socket) => {
    socket.on("error", () => {}).resume();
    asked++;
    // One in two answers comes after several questions could have been asked.
    const answer = () => socket.end("HTTP/1.1 501 Not Implemented\r\n\r\n");
    if (isAnswering) setTimeout(answer, asked % 2 === 0 ? 0 : 5 * times.everyMs);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(t, () => server.close());
  const { port } = server.address() as AddressInfo;
  const ended = new AbortController();
  afterTest(t, () => ended.abort());
  const hangs: string[] = [];
  watch({ host: "127.0.0.1", port }, times, ended.signal, (words) => hangs.push(words));
  await until("many questions", () => asked > 2 * times.mostSilent);
  assert.deepEqual(hangs, []);
  isAnswering = false;
  await until("that it hangs", () => hangs.length > 0);
  assert.deepEqual(hangs, ["did not answer for 0.2 s"]);
});

test("a workerd that accepts no connection hangs, whatever keeps connecting to it", async (t) => {
  const path = join(temporaryData(), "socket");
  // It listens, and then does nothing any more.
  const listen = `require("node:net").createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => {
    require("node:fs").writeSync(1, "listening");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  })`;
  const hanging = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  endAfterTest(t, hanging);
  await once(hanging.stdout, "data");
  const waiting: Socket[] = [];
  afterTest(t, () => waiting.forEach((socket) => void socket.destroy()));
  let isFull = false;
  while (!isFull) {
    const socket = connect({ path });
    waiting.push(socket);
    isFull = await new Promise((resolve) => {
      socket.once("connect", () => resolve(false)).once("error", () => resolve(true));
    });
  }
  const ended = new AbortController();
  afterTest(t, () => ended.abort());
  const hangs: string[] = [];
  watch({ path }, times, ended.signal, (words) => hangs.push(words));
  await until("that it hangs", () => hangs.length > 0);
});
