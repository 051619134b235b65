/**
 * A repository of many tags over as many manifests that share twice as many blobs: half of them are deleted and
 * collected, while others pull and push. What is stored then is what a model says, and nobody had to wait.
 *
 * `npm run test:scale [-- --tags N]`
 */
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePort, startServer } from "../clients/support/server.ts";
import { temporaryDirectory } from "../local/program.ts";
import { Client } from "../support/client.ts";
import { configType, describe, digestOf, encode, imageManifest, layerType } from "../support/content.ts";
import { storedIn } from "../support/stored.ts";
import { gc, usage } from "../support/upkeep.ts";
import { Latencies } from "./support/latencies.ts";

const { values } = parseArgs({ options: { tags: { type: "string" } } });
const tagCount = Number(values.tags ?? 10_000);
const blobCount = 2 * tagCount;
const repository = "scale/app";
const maxP99Ms = 250;
/** How long clients are watched before anything is deleted, in milliseconds: what this machine takes by itself. */
const quietMs = 10_000;
/** Collection is over long before, or something stays. */
const patienceMs = 600_000;

/** Everything goes soon, by its own alarms. */
const soon = { GC_GRACE: "20s", DELETE_DELAY: "2s", LEASE_TTL: "10s" };

const blobs = Array.from({ length: blobCount }, (_, index) =>
  encode(`blob ${index} `.repeat(1 + (index % 40))),
);
const images = Array.from({ length: tagCount }, (_, index) => {
  // Two of its own, one of the next one's, and one of anybody's.
  const [config = 0, ...layers] = [2 * index, 2 * index + 1, 2 * index + 2, 7 * index + 13];
  const manifest = imageManifest(
    describe(blobAt(config), configType),
    [...new Set(layers.map((each) => each % blobCount))].map((each) => describe(blobAt(each), layerType)),
  );
  const references = [config, ...layers].map((each) => each % blobCount);
  return { tag: `v${index}`, manifest, digest: digestOf(manifest), references };
});

function blobAt(index: number): Uint8Array {
  return blobs[index % blobCount] ?? assert.fail();
}

type Image = (typeof images)[number];

/** Does something with each, so many at a time. */
async function each<T>(items: T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** What a client asks of images that stay, one after the other, until it is told to end. */
async function useImages(
  client: Client,
  kept: Image[],
  latencies: Latencies,
  isOver: () => boolean,
): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const { tag, digest, manifest, references } =
      kept[Math.floor(Math.random() * kept.length)] ?? assert.fail();
    const blob = blobAt(references[turn % references.length] ?? 0);
    const blobPath = `/v2/${repository}/blobs/${digestOf(blob)}`;
    const requests: [kind: string, request: () => Promise<unknown>][] = [
      ["pull by tag", () => client.must(200, "GET", `/v2/${repository}/manifests/${tag}`)],
      ["pull by digest", () => client.must(200, "GET", `/v2/${repository}/manifests/${digest}`)],
      ["pull a blob", () => client.must(200, "GET", blobPath)],
      ["look for a blob", () => client.must(200, "HEAD", blobPath)],
      ["list tags", () => client.must(200, "GET", `/v2/${repository}/tags/list?n=100&last=${tag}`)],
      ["list referrers", () => client.must(200, "GET", `/v2/${repository}/referrers/${digest}`)],
      ["push a blob", () => client.pushBlob(repository, blob)],
      ["push a manifest", () => client.pushManifest(repository, tag, manifest)],
    ];
    const [kind, request] = requests[turn % requests.length] ?? assert.fail();
    await latencies.measure(kind, request);
    await delay(20);
  }
}

test(`half of ${tagCount} tags over ${blobCount} blobs are deleted and collected, and nobody waits`, async (t) => {
  const data = temporaryDirectory(t);
  const port = await freePort();
  const first = await startServer(t, { data, port });
  let startedAt = Date.now();
  await each(blobs, 16, (bytes) => new Client(first.url).pushBlob(repository, bytes));
  await each(images, 16, ({ tag, manifest }) =>
    new Client(first.url).pushManifest(repository, tag, manifest),
  );
  t.diagnostic(`pushed in ${Date.now() - startedAt} ms`);
  await first.kill();

  const server = await startServer(t, { data, port, vars: soon });
  const client = new Client(server.url);
  const stored = storedIn(data, "disk");
  const atFirst = { blobs: stored.blobKeys().length, bytes: stored.bytes() };
  const kept = images.filter((_, index) => index % 2 === 0);
  const gone = images.filter((_, index) => index % 2 === 1);
  const use = (latencies: Latencies, isOver: () => boolean) =>
    Promise.all(Array.from({ length: 4 }, () => useImages(client, kept, latencies, isOver)));
  const [quiet, latencies] = [new Latencies(), new Latencies()];
  const quietUntil = Date.now() + quietMs;
  await use(quiet, () => Date.now() > quietUntil);
  let isOver = false;
  const using = use(latencies, () => isOver).finally(() => {
    isOver = true;
  });
  startedAt = Date.now();
  await each(gone, 4, ({ digest }) =>
    latencies.measure("delete a manifest", () =>
      client.must(202, "DELETE", `/v2/${repository}/manifests/${digest}`),
    ),
  );
  t.diagnostic(`deleted in ${Date.now() - startedAt} ms`);
  const model = new Map(
    kept.flatMap(({ references }) => references.map((each) => [each, blobAt(each).byteLength])),
  );
  const left = { blobs: model.size, bytes: [...model.values()].reduce((sum, size) => sum + size, 0) };
  const deadline = Date.now() + patienceMs;
  while (stored.blobKeys().length > left.blobs && !isOver && Date.now() < deadline) {
    await gc(client);
    await delay(1_000);
  }
  isOver = true;
  await using;
  t.diagnostic(`collected ${Date.now() - startedAt} ms after the first deletion`);
  // What was pushed again meanwhile is a duplicate, which goes as soon as its shard gets to it.
  for (let round = 0; round < 10 && stored.blobKeys().length > left.blobs; round++) {
    await gc(client);
    await delay(1_000);
  }
  assert.deepEqual({ blobs: stored.blobKeys().length, bytes: stored.bytes() }, left);
  t.diagnostic(
    `freed ${atFirst.blobs - left.blobs} blobs of ${atFirst.bytes - left.bytes} bytes, as the model says`,
  );
  const { repositories } = await usage(client);
  assert.deepEqual(
    repositories.map(({ name, tags, manifests, blobs }) => ({ name, tags, manifests, blobs })),
    [{ name: repository, tags: kept.length, manifests: kept.length, blobs: left.blobs }],
  );
  for (const { tag, manifest } of kept.slice(0, 1_000)) {
    assert.deepEqual((await client.must(200, "GET", `/v2/${repository}/manifests/${tag}`)).bytes, manifest);
  }
  const quiet99 = new Map(quiet.byKind(0.99).map(({ kind, milliseconds }) => [kind, milliseconds]));
  for (const { kind, count, milliseconds } of latencies.byKind(0.99)) {
    const alone = quiet99.get(kind);
    const beside = alone === undefined ? "" : `, ${alone} ms before the first deletion`;
    t.diagnostic(`${kind}: ${count} requests, 99 % of them within ${milliseconds} ms${beside}`);
  }
  await server.kill();
  const slow = latencies.byKind(0.99).filter(({ milliseconds }) => milliseconds > maxP99Ms);
  assert.deepEqual(slow, []);
});
