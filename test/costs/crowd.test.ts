/** Many clients that pull one tag at once, as a cluster does that starts. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { fetchOnce } from "../support/client.ts";
import { digestOf, imageIndex } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import type { Spent } from "./world.ts";

const registry = await startRegistry({ entry: "test/costs/entry.ts" });
const clients = 64;
const manifests = Array.from({ length: 8 }, (_, place) =>
  imageIndex([], { annotations: { place: `${place}` } }),
);
const order = manifests.map((manifest) => digestOf(manifest));

async function takeSpent(): Promise<Spent> {
  return (await fetchOnce(`${registry.url}/_test/spent`)).json() as Promise<Spent>;
}

/** A span of time, by the clock of this process. */
type Span = { from: number; to: number };

async function timed<T>(action: () => Promise<T>): Promise<Span & { result: T }> {
  const from = performance.now();
  const result = await action();
  return { from, to: performance.now(), result };
}

const moves: Span[] = [];

async function move(manifest: Uint8Array): Promise<void> {
  // It may be seen from here on, and must be from its end on.
  const span = { from: performance.now(), to: Number.POSITIVE_INFINITY };
  moves.push(span);
  await registry.pushManifest("crowd", "latest", manifest, imageIndexType);
  span.to = performance.now();
}

test("64 clients of one tag make few calls, and each is told where the tag was while it asked", async () => {
  const [first, ...others] = manifests;
  assert(first !== undefined);
  await move(first);
  await takeSpent();
  let isMoving = true;
  const look = () => timed(() => registry.must(200, "GET", "/v2/crowd/manifests/latest"));
  const looking = Array.from({ length: clients }, async () => {
    const looks = [];
    while (isMoving) looks.push(await look());
    looks.push(await look());
    return looks;
  });
  for (const manifest of others) await move(manifest);
  isMoving = false;
  const looks = (await Promise.all(looking)).flat();
  for (const { from, to, result } of looks) {
    const seen = order.indexOf(digestOf(result.bytes));
    assert.equal(result.header("Docker-Content-Digest"), order[seen]);
    const oldest = moves.findLastIndex((span) => span.to < from);
    const newest = moves.findLastIndex((span) => span.from < to);
    assert(seen >= oldest && seen <= newest, `${seen} was seen when it was between ${oldest} and ${newest}`);
  }
  const { calls, mostAtOnce } = await takeSpent();
  assert((mostAtOnce["LEDGERS.resolveTags"] ?? 0) <= 2, JSON.stringify(mostAtOnce));
  assert((calls["LEDGERS.resolveTags"] ?? 0) < looks.length / 2, `${looks.length}: ${JSON.stringify(calls)}`);
});

test("64 clients that list a repository make few calls, and each finds the tags that there were when it asked", async () => {
  const [manifest] = manifests;
  assert(manifest !== undefined);
  let pushed = 0;
  const push = async () => {
    await registry.pushManifest("listed", `t${pushed}`, manifest, imageIndexType);
    pushed++;
  };
  await push();
  await takeSpent();
  let isPushing = true;
  const list = async () => {
    const before = pushed;
    const { tags } = (await registry.must(200, "GET", "/v2/listed/tags/list")).json<{ tags: string[] }>();
    assert(tags.length >= before, `${tags.length} of ${before} tags are listed`);
  };
  let lists = 0;
  const listing = Array.from({ length: clients }, async () => {
    for (; isPushing; lists++) await list();
  });
  for (let tag = 0; tag < 8; tag++) await push();
  isPushing = false;
  await Promise.all(listing);
  const { calls, mostAtOnce } = await takeSpent();
  assert((mostAtOnce["LEDGERS.listTags"] ?? 0) <= 2, JSON.stringify(mostAtOnce));
  assert((calls["LEDGERS.listTags"] ?? 0) < lists / 2, `${lists}: ${JSON.stringify(calls)}`);
});
