/** What pulls through a cache ask of bindings, counted. */
import assert from "node:assert/strict";
import test from "node:test";
import { type CachedPullCost, cachedPulls } from "../../bench/cost/caching.ts";
import { digestOf, mebibyte } from "../support/content.ts";
import { ScriptedUpstream } from "../support/upstream.ts";
import { startWorld } from "./world.ts";

const upstream = await ScriptedUpstream.start();
const entry = {
  url: upstream.url,
  private: true,
  insecure: true,
  visibility: "public",
  repositories: ["**"],
};
const UPSTREAMS = JSON.stringify([
  { ...entry, id: "up", tagTtl: "1h" },
  { ...entry, id: "old", tagTtl: "0s" },
]);
const { admin, spend } = await startWorld({ UPSTREAMS });

let count = 0;

/** Prepares a pull: a repository that exists, in an isolate that knows it; returns the path of what is then pulled. */
const prepared: Record<keyof typeof cachedPulls, () => Promise<string>> = {
  hit: async () => tagOf("up", true),
  revalidated: async () => tagOf("old", true),
  "missing tag": async () => tagOf("up", false),
  "missing manifest": async () => {
    const { path, name } = await repository("up");
    return `${path}/manifests/${upstream.addImage(name, [10]).digest}`;
  },
  "missing blob": async () => blobOf(1000),
  "missing large blob": async () => blobOf(12 * mebibyte),
  "linked blob": async () => {
    const first = await repository("up");
    const { layers } = upstream.addImage(first.name, [1000]);
    const [layer = new Uint8Array()] = layers;
    await admin.must(200, "GET", `${first.path}/blobs/${digestOf(layer)}`);
    const second = await repository("up");
    upstream.addBlob(second.name, layer);
    return `${second.path}/blobs/${digestOf(layer)}`;
  },
};

/** A cached repository with one tag. */
async function repository(id: string): Promise<{ path: string; name: string }> {
  const name = `team/app${++count}`;
  upstream.addImage(name, [10], "first");
  const path = `/v2/${id}/${name}`;
  await admin.must(200, "GET", `${path}/manifests/first`);
  return { path, name };
}

async function tagOf(id: string, isHere: boolean): Promise<string> {
  const { path, name } = await repository(id);
  upstream.addImage(name, [20], "v1");
  if (isHere) await admin.must(200, "GET", `${path}/manifests/v1`);
  return `${path}/manifests/v1`;
}

async function blobOf(sizeBytes: number): Promise<string> {
  const { path, name } = await repository("up");
  const [layer = new Uint8Array()] = upstream.addImage(name, [sizeBytes]).layers;
  return `${path}/blobs/${digestOf(layer)}`;
}

/** Calls that are not of one request: reports, who listens, and what is used. */
const apart = /^(CATALOG\.(addCounts|putRepository|account|tokenBySecret)|WEBHOOKS\.|LEDGERS\.recordUses)/;

for (const [name, cost] of Object.entries(cachedPulls) as [keyof typeof cachedPulls, CachedPullCost][]) {
  test(`it costs what is written to ${cost.does}`, async () => {
    const path = await prepared[name]();
    const { calls, rowsWritten } = await spend(false, () => admin.must(200, "GET", path));
    const own = Object.fromEntries(Object.entries(calls).filter(([call]) => !apart.test(call)));
    assert.deepEqual(own, cost.calls);
    assert(rowsWritten <= cost.rowsWritten, `${rowsWritten} rows are written`);
  });
}
