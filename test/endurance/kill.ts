/**
 * `kill -9` of the local server, with its workerd, at random moments under four clients. After each start everything
 * that was acknowledged is pulled; at the end nothing is stored that no manifest reaches.
 *
 * `npm run test:kill [-- --moments N]`
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePort, startServer } from "../clients/support/server.ts";
import { temporaryDirectory } from "../local/program.ts";
import { hourMs, serveTimed, uploadId } from "../support/timed-registry.ts";
import { gc } from "../support/upkeep.ts";
import { Pusher } from "./support/pusher.ts";

const clientCount = 4;
/** A server is killed at most so long after its clients have begun, in milliseconds. */
const maxLifeMs = 1_500;

const { values } = parseArgs({ options: { moments: { type: "string" } } });
const moments = Number(values.moments ?? 100);

test(`kill -9 at ${moments} moments: nothing acknowledged is lost, and nothing is left over`, async (t) => {
  const data = temporaryDirectory(t);
  const names = Array.from({ length: clientCount }, (_, index) => `kill/client-${index}`);
  const pushers = names.map((name, index) => new Pusher(name, names[(index + 1) % clientCount] ?? name));
  for (let moment = 0; moment < moments; moment++) {
    const server = await startServer(t, { data, port: await freePort() });
    await Promise.all(pushers.map((pusher) => pusher.verify(server.url, true)));
    let isKilled = false;
    const working = Promise.all(pushers.map((pusher) => pusher.work(server.url, () => isKilled)));
    await Promise.race([working, delay(randomInt(maxLifeMs))]);
    isKilled = true;
    await server.killAll();
    await working;
    if (moment % 10 === 9) t.diagnostic(`${moment + 1} moments: ${JSON.stringify(sumOf(pushers))}`);
  }
  t.diagnostic(await nothingIsLeftOver(data, pushers));
});

function sumOf(pushers: Pusher[]) {
  const sum = (name: keyof Pusher["acknowledged"]) =>
    pushers.reduce((total, { acknowledged }) => total + acknowledged[name], 0);
  return { manifests: sum("manifests"), blobs: sum("blobs"), deletions: sum("deletions") };
}

/** Moves the clock past the times of uploads, leases and tombstones; then only what manifests reach is stored. */
async function nothingIsLeftOver(dataDirectory: string, pushers: Pusher[]): Promise<string> {
  const vars = { GC_GRACE: "0s" };
  const { registry, advance, runAlarm } = await serveTimed({ dataDirectory, bucket: "disk", vars });
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
      await runAlarm("UPLOAD", uploadId(location));
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
