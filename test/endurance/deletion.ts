/**
 * A repository of many manifests is deleted, restored and deleted again, while others pull from its successor and from
 * another repository, and push: nobody waits for long, and in the end nothing of it is left.
 *
 * `npm run test:deletion [-- --manifests N]`
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { freePort, startServer } from "../clients/support/server.ts";
import { temporaryDirectory } from "../local/program.ts";
import { Client } from "../support/client.ts";
import { imageIndex } from "../support/content.ts";
import { Latencies } from "./support/latencies.ts";

const { values } = parseArgs({ options: { manifests: { type: "string" } } });
const manifestCount = Number(values.manifests ?? 100_000);
const [large, other] = ["deletion/large", "deletion/other"];
/** How long clients are watched before anything is deleted, in milliseconds: what this machine takes by itself. */
const quietMs = 10_000;
/** All is done long before. */
const patienceMs = 1_800_000;
/** What a client waits for at most beyond what it waits for on a quiet machine, in milliseconds. */
const batchMs = 250;

/** Does something with each number below a count, so many at a time. */
async function each(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const manifestOf = (index: number) => imageIndex([], { annotations: { number: String(index) } });

/** Whether a ledger still has tables of a generation that was deleted. */
function hasDeletedTables(data: string): boolean {
  return globSync(join(data, "**", "*.sqlite")).some((file) => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
    const query = "SELECT 1 FROM sqlite_master WHERE name GLOB 'deleted_[0-9]*'";
    const found = database.prepare(query).get();
    database.close();
    return found !== undefined;
  });
}

/** Pulls and pushes, one after the other, until it is told to end. */
async function work(client: Client, latencies: Latencies, isOver: () => boolean): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const manifest = imageIndex([], { annotations: { turn: String(turn) } });
    for (const name of [large, other]) {
      const kind = name === large ? "the repository that is deleted" : "another one";
      await latencies.measure(`push to ${kind}`, () =>
        client.pushManifest(name, "current", manifest, imageIndexType),
      );
      await latencies.measure(`pull from ${kind}`, () => client.get(`/v2/${name}/manifests/current`));
    }
    await delay(20);
  }
}

test(`${manifestCount} manifests are deleted, restored and deleted, and nobody waits`, async (t) => {
  const data = temporaryDirectory(t);
  const server = await startServer(t, { data, port: await freePort(), vars: { GC_GRACE: "10m" } });
  const client = new Client(server.url);
  const say = (what: string, since: number) => t.diagnostic(`${what}: ${Date.now() - since} ms`);
  let startedAt = Date.now();
  await each(manifestCount, 16, (index) =>
    client.pushManifest(large, `v${index}`, manifestOf(index), imageIndexType),
  );
  say("pushed", startedAt);
  const [quiet, busy] = [new Latencies(), new Latencies()];
  const quietUntil = Date.now() + quietMs;
  await work(client, quiet, () => Date.now() > quietUntil);
  let isOver = false;
  const working = work(client, busy, () => isOver).finally(() => {
    isOver = true;
  });
  const path = `/api/v1/repositories/${large}`;
  const deleteIt = () => busy.measure("delete the repository", () => client.must(202, "DELETE", path));
  const deletedOf = async () =>
    (await client.must(200, "GET", `${path}/deleted`)).json<{ deleted: { what: string }[] }>().deleted;
  const untilNothingIsDeleted = async () => {
    const deadline = Date.now() + patienceMs;
    while ((await deletedOf()).some(({ what }) => what === "repository")) {
      assert(Date.now() < deadline && !isOver, "it comes to an end");
      await delay(200);
    }
  };
  await deleteIt();
  startedAt = Date.now();
  const restored = await busy.measure("restore", () => client.must(200, "POST", `${path}/restore`));
  assert.equal(restored.json<{ isComplete: boolean }>().isComplete, manifestCount <= 100);
  await untilNothingIsDeleted();
  say("restored", startedAt);
  for (const index of [0, Math.floor(manifestCount / 2), manifestCount - 1]) {
    const { bytes } = await client.must(200, "GET", `/v2/${large}/manifests/v${index}`);
    assert.deepEqual(bytes, manifestOf(index));
  }
  await deleteIt();
  startedAt = Date.now();
  await client.must(200, "POST", "/api/v1/gc", { body: '{"now":true}', timeoutMs: 120_000 });
  await untilNothingIsDeleted();
  // The tables of the ledger are gone when the rows are.
  const deadline = Date.now() + patienceMs;
  while (hasDeletedTables(data)) {
    assert(Date.now() < deadline && !isOver, "it comes to an end");
    await delay(500);
  }
  say("removed", startedAt);
  isOver = true;
  await working;
  await server.kill();
  const slowest = new Map(quiet.byKind(1).map(({ kind, milliseconds }) => [kind, milliseconds]));
  const late: string[] = [];
  for (const { kind, count, milliseconds } of busy.byKind(1)) {
    const [{ milliseconds: p99 } = { milliseconds: 0 }] = busy.byKind(0.99).filter((of) => of.kind === kind);
    const alone = slowest.get(kind) ?? 0;
    t.diagnostic(
      `${kind}: ${count}, 99 % within ${p99} ms, all within ${milliseconds} ms (before: ${alone} ms)`,
    );
    if (milliseconds > alone + batchMs) late.push(kind);
  }
  assert.deepEqual(late, []);
});
