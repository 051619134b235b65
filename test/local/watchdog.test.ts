import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import test from "node:test";
import { watch } from "../../src/local/workerd/watchdog.ts";
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
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ended = new AbortController();
  t.after(() => ended.abort());
  const hangs: string[] = [];
  watch({ host: "127.0.0.1", port }, times, ended.signal, (words) => hangs.push(words));
  await until("many questions", () => asked > 2 * times.mostSilent);
  assert.deepEqual(hangs, []);
  isAnswering = false;
  await until("that it hangs", () => hangs.length > 0);
  assert.deepEqual(hangs, ["did not answer for 0.2 s"]);
});
