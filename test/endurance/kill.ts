/**
 * `kill -9` of the local server, or of a part of it, at random moments under four clients. Afterwards everything that
 * was acknowledged is pulled; at the end nothing is stored that no manifest reaches.
 *
 * `npm run test:kill [-- --moments N]`
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import test, { type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { prepareLayout } from "../../src/local/data-layout.ts";
import { freePort, type Server, serverCommands, startServer } from "../clients/support/server.ts";
import { startProgram, temporaryDirectory, until } from "../local/program.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";
import { gc } from "../support/upkeep.ts";
import { Pusher } from "./support/pusher.ts";

const clientCount = 4;
/** So many pushes are acknowledged before each kill, however slow the machine is. */
const leastPushes = 4;
/** A start takes about so long, in milliseconds. */
const startMs = 400;

const { values } = parseArgs({ options: { moments: { type: "string" } } });
const moments = Number(values.moments ?? 100);

type Kill = (server: Server, verify: (server: Server) => Promise<void>) => Promise<void>;

/** What is killed, in turns. Alone, workerd is started again, and has all that was acknowledged at once. */
const kills: Record<string, Kill> = {
  everything: (server) => server.killAll(),
  "the server": (server) => server.kill(),
  workerd: async (server, verify) => {
    await server.killWorkerd();
    await verify(server);
    await server.killAll();
  },
};

test(`kill -9 at ${moments} moments: nothing acknowledged is lost, and nothing is left over`, async (t) => {
  const data = temporaryDirectory(t);
  const names = Array.from({ length: clientCount }, (_, index) => `kill/client-${index}`);
  const pushers = names.map((name, index) => new Pusher(name, names[(index + 1) % clientCount] ?? name));
  const verify = async ({ url }: Server) => {
    await Promise.all(pushers.map((pusher) => pusher.verify(url, true)));
  };
  for (let moment = 0; moment < moments; moment++) {
    const turn = Object.values(kills)[moment % Object.keys(kills).length] ?? assert.fail();
    if (moment % 4 === 3) await killAtStart(t, data);
    const server = await startServer(t, { data, port: await freePort() });
    await verify(server);
    const { manifests: before } = sumOf(pushers);
    let isKilled = false;
    const beganAt = performance.now();
    const working = Promise.all(pushers.map((pusher) => pusher.work(server.url, () => isKilled)));
    const pushed = until("pushes", () => sumOf(pushers).manifests >= before + leastPushes);
    await Promise.race([working, pushed]);
    await Promise.race([working, delay(randomInt(Math.ceil(performance.now() - beganAt)))]);
    isKilled = true;
    await turn(server, async (restarted) => {
      await working;
      await verify(restarted);
    });
    await working;
    if (moment % 10 === 9) t.diagnostic(`${moment + 1} moments: ${JSON.stringify(sumOf(pushers))}`);
  }
  t.diagnostic(`killed in turns: ${Object.keys(kills).join(", ")}; and in every fourth start`);
  t.diagnostic(await nothingIsLeftOver(data, pushers));
});

/** Kills a server at some moment of its start. */
async function killAtStart(t: TestContext, data: string): Promise<void> {
  const flags = ["--port", String(await freePort()), "--data", data, "--log", "none"];
  const program = startProgram(t, [...serverCommands.node, ...flags], { data });
  await delay(randomInt(startMs));
  process.kill(-program.pid, "SIGKILL");
  await program.ended;
}

function sumOf(pushers: Pusher[]) {
  const sum = (name: keyof Pusher["acknowledged"]) =>
    pushers.reduce((total, { acknowledged }) => total + acknowledged[name], 0);
  return { manifests: sum("manifests"), blobs: sum("blobs"), deletions: sum("deletions") };
}

/** Moves the clock past the times of uploads, leases and tombstones; then only what manifests reach is stored. */
async function nothingIsLeftOver(dataDirectory: string, pushers: Pusher[]): Promise<string> {
  const vars = { GC_GRACE: "0s" };
  // As the local server has divided it.
  const { machine } = prepareLayout(dataDirectory);
  const { registry, advance, runAlarm } = await startTimedRegistry({
    dataDirectory,
    bucket: "disk",
    machine,
    vars,
  });
  const stored = () => ({
    blobs: registry.stored.blobKeys().length,
    bytes: registry.stored.bytes(),
    uploads: registry.stored.openMultiparts(),
  });
  await Promise.all(pushers.map((pusher) => pusher.verify(registry.url, false)));
  const before = stored();
  for (let day = 0; day < 3; day++) {
    await advance(25 * hourMs);
    for (const location of pushers.flatMap(({ uploads }) => uploads)) {
      await runAlarm("UPLOADS", uploadId(location));
    }
    await gc(registry);
  }
  await Promise.all(pushers.map((pusher) => pusher.verify(registry.url, false)));
  const reachable = new Map(pushers.flatMap((pusher) => [...pusher.reachable()]));
  const bytes = [...reachable.values()].reduce((sum, size) => sum + size, 0);
  assert.deepEqual(stored(), { blobs: reachable.size, bytes, uploads: 0 });
  await registry.end();
  return `stored before: ${JSON.stringify(before)}; after: ${JSON.stringify(stored())}, as manifests reach`;
}
