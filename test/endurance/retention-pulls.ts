/**
 * A policy removes nearly all of many tags, while clients pull those that stay: nobody has to wait much longer than
 * before, and what stays is whole.
 *
 * `RETENTION_TAGS`: how many tags there are.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { freePort, startServer } from "../clients/support/server.ts";
import { temporaryDirectory } from "../local/program.ts";
import { Client } from "../support/client.ts";
import { digestOf, imageIndex } from "../support/content.ts";
import { Latencies } from "./support/latencies.ts";

const tagCount = Number(process.env.RETENTION_TAGS ?? 10_000);
/** A push makes so many tags at once. */
const tagsAPush = 100;
const repository = "tidy/app";
const quietMs = 15_000;
/** A run comes within so much time. */
const runMs = 60_000;
/** How much longer 99 % of the pulls may take during the run. */
const maxFactor = 3;

test(`all but ten of ${tagCount} tags are removed, and pulls take at most ${maxFactor} times as long`, async (t) => {
  const vars = { RETENTION_EVERY: "1m" };
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort(), vars });
  const client = new Client(server.url);
  const manifests = Array.from({ length: tagCount / tagsAPush }, (_, at) =>
    imageIndex([], { annotations: { at: String(at) } }),
  );
  for (const [at, bytes] of manifests.entries()) {
    const tags = Array.from({ length: tagsAPush }, (_, patch) => `tag=v1.${at}.${patch}`);
    const path = `/v2/${repository}/manifests/${digestOf(bytes)}?${tags.join("&")}`;
    await client.must(201, "PUT", path, { headers: { "Content-Type": imageIndexType }, body: bytes });
  }
  const kept = Array.from({ length: 10 }, (_, at) => `v1.${tagCount / tagsAPush - 1}.${tagsAPush - 1 - at}`);
  const pull = async (latencies: Latencies, isOver: () => boolean) => {
    for (let turn = 0; !isOver(); turn++) {
      const path = `/v2/${repository}/manifests/${kept[turn % kept.length]}`;
      await latencies.measure("pull by tag", () => client.must(200, "GET", path));
      await delay(10);
    }
  };
  const [quiet, during] = [new Latencies(), new Latencies()];
  const quietUntil = Date.now() + quietMs;
  await Promise.all([1, 2, 3, 4].map(() => pull(quiet, () => Date.now() > quietUntil)));

  const rule = {
    repositories: ["**"],
    keep: [{ tags: ["*"], newestVersions: 10 }],
    remove: { tags: ["*"], untaggedAfter: "7d" },
  };
  await client.must(200, "PUT", "/api/v1/policies", { json: { rules: [rule] } });
  type Policy = { retention: { waiting?: object; lastRun?: { removed: number; endedAt?: string } } };
  const state = async () =>
    (await client.must(200, "GET", `/api/v1/repositories/${repository}/policy`)).json<Policy>().retention;
  const deadline = Date.now() + 3 * runMs;
  while ((await state()).waiting === undefined && Date.now() < deadline) await delay(1_000);
  let isOver = false;
  const pulling = Promise.all([1, 2, 3, 4].map(() => pull(during, () => isOver)));
  const startedAt = Date.now();
  await client.must(202, "POST", `/api/v1/repositories/${repository}/policy/confirm`);
  while ((await state()).lastRun?.endedAt === undefined && Date.now() < deadline + 10 * runMs)
    await delay(3_000);
  t.diagnostic(`removed in ${Date.now() - startedAt} ms`);
  isOver = true;
  await pulling;

  const { tags } = (await client.must(200, "GET", `/v2/${repository}/tags/list`)).json<{ tags: string[] }>();
  assert.deepEqual(tags.toSorted(), kept.toSorted());
  const [before, meanwhile] = [quiet, during].map((latencies) => latencies.byKind(0.99)[0]);
  const factor = (meanwhile?.milliseconds ?? Number.NaN) / (before?.milliseconds ?? 0);
  t.diagnostic(
    `99 % of ${before?.count} pulls took at most ${before?.milliseconds} ms before, and of ${meanwhile?.count} at most ${meanwhile?.milliseconds} ms during the run: ${factor.toFixed(2)} times (limit ${maxFactor})`,
  );
  await server.kill();
  assert(factor <= maxFactor);
});
