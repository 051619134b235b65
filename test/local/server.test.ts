import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { isAlive, signal } from "../../src/local/processes.ts";
import { afterTest } from "../support/ends.ts";
import {
  type Program,
  ready,
  recordedWorkerd,
  runtimes,
  startProgram,
  temporaryDirectory,
  until,
} from "./program.ts";

const main = join(import.meta.dirname, "fixture-main.ts");
const downloadBytes = 64 * 1024 * 1024;

/** An upload of which half is sent, and a download of which nothing is read. */
async function twoRequestsInFlight(url: string) {
  const upload = httpRequest(`${url}/upload`, { method: "PUT", headers: { "Content-Length": 2000 } });
  const uploaded = once(upload, "response") as Promise<[IncomingMessage]>;
  uploaded.catch(() => {});
  upload.write("x".repeat(1000));
  const download = httpRequest(`${url}/download`).end();
  const [body]: [IncomingMessage] = (await once(download, "response")) as [IncomingMessage];
  return { upload, uploaded, body };
}

async function finish({ upload, uploaded, body }: Awaited<ReturnType<typeof twoRequestsInFlight>>) {
  upload.end("x".repeat(1000));
  const [response] = await uploaded;
  response.resume();
  let downloaded = 0;
  for await (const chunk of body) downloaded += chunk.length;
  return { status: response.statusCode, downloaded };
}

function workerdOf(data: string): number {
  const pid = recordedWorkerd(data);
  assert(pid !== undefined && isAlive(pid));
  return pid;
}

async function gone(...pids: number[]): Promise<void> {
  await until(`the end of ${pids}`, () => !pids.some(isAlive));
}

const notice = /finishing requests in flight, /;
const serverFlags = (data: string) => ["--port", "0", "--data", data];

for (const [name, runtime] of Object.entries(runtimes)) {
  test(`the server under ${name}`, { concurrency: true }, async (t) => {
    t.test(
      "leaves nothing running when it is killed, and serves the same data again until it is told to end",
      async (t) => {
        const data = temporaryDirectory(t);
        const flags = [...serverFlags(data), "--var", "GC_GRACE=1h", "--log", "json"];
        const first = startProgram(t, [...runtime, main, ...flags], { data });
        const url = await ready(first);
        assert.equal(await (await fetch(`${url}/visit`)).json(), 1);
        const workerd = workerdOf(data);

        const rival = startProgram(t, [...runtime, main, ...flags]);
        assert.deepEqual(await rival.ended, { code: 1, signal: null });
        const line: Record<string, unknown> = JSON.parse(rival.stderr);
        assert.equal(
          line.message,
          `another server is running on the data directory ${data} (process ${first.pid}, ${url})`,
        );

        const [sockets = ""] = readFileSync(join(data, "sockets"), "utf8").split("\n");
        signal(first.pid, "SIGKILL");
        await gone(first.pid, workerd);
        assert(existsSync(sockets), "a killed server leaves the folder of its sockets");

        const second = startProgram(t, [...runtime, main, ...flags], { data });
        const newUrl = await ready(second);
        assert(!existsSync(sockets), "and the next start removes it");
        assert.equal(await (await fetch(`${newUrl}/visit`)).json(), 2);
        const settings: Record<string, unknown> = await (await fetch(`${newUrl}/settings`)).json();
        assert.equal(settings.GC_GRACE, "1h");
        assert.equal(settings.LOG_FORMAT, "json");
        assert.equal(settings.ACCESS, "open");
        await fetch(`${newUrl}/log`);
        await until("the log line", () => second.stdout.endsWith('\n{"event":"æøå","n":1}\n'));
        assert.equal(second.stdout.split("\n").length, 1 + 2, second.stdout);
        assert.equal(second.stderr, "");

        const requests = await twoRequestsInFlight(newUrl);
        signal(second.pid, "SIGTERM");
        await until("the notice", () => notice.test(second.stderr));
        const late = fetch(`${newUrl}/json`).then(
          () => "answered",
          () => "refused",
        );
        assert.deepEqual(await finish(requests), { status: 201, downloaded: downloadBytes });
        assert.deepEqual(await second.ended, { code: 0, signal: null });
        assert.equal(await late, "refused");
        assert.equal(recordedWorkerd(data), undefined);
      },
    );

    t.test("Ctrl-C lets requests finish; another one does not", async (t) => {
      const data = temporaryDirectory(t);
      const server = startProgram(t, [...runtime, main, ...serverFlags(data)], { data });
      const requests = await twoRequestsInFlight(await ready(server));
      const workerd = workerdOf(data);
      requests.body.on("error", () => {});
      // A terminal sends it to the whole group, and a runner may pass it on: as another one, since two of a kind at once
      // are one.
      signal(-server.pid, "SIGINT");
      signal(server.pid, "SIGTERM");
      await until("the notice", () => notice.test(server.stderr));
      assert(isAlive(workerd));
      signal(-server.pid, "SIGINT");
      assert.deepEqual(await server.ended, { code: 130, signal: null });
      await gone(workerd);
      await assert.rejects(finish(requests));
    });
  });
}

test("answers are the Worker's own, also after workerd ended by itself; what hangs is cut off", async (t) => {
  const data = temporaryDirectory(t);
  // Without setpriv on its PATH, as on other systems than Linux, workerd outlives a killed server.
  const command = [...runtimes.node, main, ...serverFlags(data)];
  const killed = startProgram(t, command, { data, env: { PATH: "/nonexistent" } });
  await ready(killed);
  const leftOver = workerdOf(data);
  signal(killed.pid, "SIGKILL");
  await killed.ended;
  assert(isAlive(leftOver));

  const server = startProgram(t, command, { data, env: { TEST_DRAIN_MS: "50" } });
  const url = await ready(server);
  assert(!isAlive(leftOver), "the next start ends it");

  const restarted = "stowage: workerd was ended by the signal SIGKILL, and was started again\n";
  signal(workerdOf(data), "SIGKILL");
  await until("the restart", () => server.stderr === restarted);

  const headers = { "Accept-Encoding": "gzip, br" };
  const json = await fetch(`${url}/json`, { headers });
  assert.equal(json.headers.get("Content-Encoding"), null);
  assert.equal(json.headers.get("Content-Length"), String((await json.text()).length));
  const head = await fetch(`${url}/head`, { method: "HEAD", headers });
  assert.equal(head.headers.get("Content-Length"), "1234567890123");

  const requests = await twoRequestsInFlight(url);
  requests.body.on("error", () => {});
  signal(server.pid, "SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null });
  assert.equal(server.stderr, `${restarted}stowage: requests that were still in flight have been cut off\n`);
  await assert.rejects(finish(requests));
});

test("of requests in flight nothing is said where there are none, and a second signal counts all the same", async (t) => {
  const data = temporaryDirectory(t);
  const server = startProgram(t, [...runtimes.node, main, ...serverFlags(data)], { data });
  await ready(server);
  // It does not end when it is told to.
  signal(workerdOf(data), "SIGSTOP");
  await until("the end", () => {
    signal(server.pid, "SIGTERM");
    return server.hasEnded;
  });
  assert.deepEqual(await server.ended, { code: 143, signal: null });
  assert.equal(server.stderr, "");
});

async function onlyLine(program: Program, code = 1): Promise<string> {
  assert.deepEqual(await program.ended, { code, signal: null });
  assert.equal(program.stdout, "");
  assert.match(program.stderr, /^stowage: [^\n]+\n$/);
  return program.stderr.slice("stowage: ".length, -1);
}

test("what keeps the server from starting is said in one line", async (t) => {
  const data = temporaryDirectory(t);
  const start = (...flags: string[]) => startProgram(t, [...runtimes.node, main, ...flags], { data });
  const occupied = createServer().listen(0, "127.0.0.1");
  await once(occupied, "listening");
  afterTest(t, () => occupied.close());
  const address = occupied.address();
  const port = typeof address === "object" ? String(address?.port) : "";

  assert.equal(
    await onlyLine(start("--data", data, "--port", port)),
    `cannot listen on http://127.0.0.1:${port}: another program is listening there; choose another port with --port`,
  );
  assert.match(
    await onlyLine(start("--data", "/proc/stowage")),
    /^the data directory \/proc\/stowage cannot /,
  );
  assert.match(await onlyLine(start("--prot", "1"), 2), /^there is no flag --prot; /);
});

const runners: [name: string, command: string[]][] = [
  ["npm start", ["npm", "start", "--"]],
  ["npx deno task start", ["npx", "deno", "task", "start"]],
];

test("a server ends with the runner that started it", { concurrency: true }, async (t) => {
  for (const [name, command] of runners) {
    t.test(`${name}, killed`, async (t) => {
      const data = temporaryDirectory(t);
      const runner = startProgram(t, [...command, ...serverFlags(data)], { data });
      await ready(runner);
      const workerd = workerdOf(data);
      signal(runner.pid, "SIGKILL");
      await gone(workerd);
      // Its output closes when the last process that was started has ended.
      await runner.ended;
    });
  }

  t.test("npm start, told to end", async (t) => {
    const data = temporaryDirectory(t);
    const runner = startProgram(t, ["npm", "start", "--", ...serverFlags(data)], { data });
    await ready(runner);
    const workerd = workerdOf(data);
    signal(runner.pid, "SIGTERM");
    await gone(workerd);
    await runner.ended;
  });
});
