/** Objects that cannot answer, such as those with data of a later release: walks over all of them go on nevertheless. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { idOfOne, nameOfOne } from "../../src/objects/tell-ledgers.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { collect } from "../../src/registry/collection.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { type Stores, scrubBucket } from "../../src/rpc/scrub-stores.ts";
import { repositoryStub } from "../../src/rpc/stubs.ts";
import { hour, minute } from "../../src/units.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

const { Catalog } = await import("../../src/objects/catalog.ts");
const { Search } = await import("../../src/objects/search.ts");

const later = "a/later" as RepositoryName;
const away = "a/unreachable" as RepositoryName;

/** So many that the walks need several batches; the first two of them cannot answer. */
const names = [
  later,
  away,
  ...Array.from({ length: 200 }, (_, index) => `b/${1000 + index}`),
] as RepositoryName[];

/** Ledgers, and which of them were called. Those that cannot answer can once they are `back`. */
function ledgers() {
  const called: string[] = [];
  const back = new Set<string>();
  const answer = async (name: string) => {
    called.push(name);
    if (name === later && !back.has(name)) return { hasLaterData: true, why: "of a later release" };
    if (name === away && !back.has(name)) throw new Error("out of reach");
    return { more: false, freed: {}, keptUntilMs: 0 };
  };
  const getByName = (name: string) => {
    const call = () => answer(name);
    return { announceAll: call, adoptPolicy: call, collect: call };
  };
  return { env: { LEDGERS: { getByName } } as unknown as Env, called, back };
}

const clockOf = () => {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  return clock;
};

/** Rings an object's alarm every half minute for so long. */
async function ring(
  object: { alarm(): Promise<void> },
  clock: { nowMs: number },
  forMs: number,
): Promise<void> {
  for (const until = clock.nowMs + forMs; clock.nowMs < until; clock.nowMs += minute / 2)
    await object.alarm();
}

test("the search reads all repositories again though some cannot be reached, and these later", async () => {
  const { env, called, back } = ledgers();
  const clock = clockOf();
  const listRepositories = async (_: string, last: string, limit: number) => {
    const left = names.filter((name) => name > last);
    const info = { visibility: "private", description: "", pulls: 0, lastPulledAtMs: null, usedDay: null };
    return { entries: left.slice(0, limit).map((name) => ({ name, ...info })), more: left.length > limit };
  };
  const search = new Search(
    memoryContext().ctx,
    { ...env, CATALOG: namespaceOf({ listRepositories }) } as unknown as Env,
    clock,
  );
  await ring(search, clock, minute / 2);
  assert.deepEqual(called, names);
  called.length = 0;
  back.add(away);
  await ring(search, clock, 5 * minute);
  assert.deepEqual(called, [away]);
  assert.equal((await search.totalUsage()).isComplete, false);
  back.add(later);
  await ring(search, clock, hour);
  assert.deepEqual(called, [away, later]);
  assert.equal((await search.totalUsage()).isComplete, true);
});

test("all ledgers are told of a new policy though some cannot be reached, and these later", async () => {
  const { env, called, back } = ledgers();
  const clock = clockOf();
  const catalog = new Catalog(memoryContext().ctx, { ...env, SCRUB_EVERY: "never" }, clock);
  for (const name of names) {
    await catalog.putRepository({ name, visibility: "private", description: "" }, undefined, false);
  }
  const rules = [{ repositories: ["**"], remove: { tags: ["**"] } }];
  assert((await catalog.putPolicies(rules, undefined, "admin")).ok);
  await ring(catalog, clock, minute / 2);
  assert.deepEqual(called, names);
  called.length = 0;
  back.add(away);
  await ring(catalog, clock, 6 * minute);
  assert.deepEqual(called, [away]);
  // A document that has been replaced is not told any more.
  assert((await catalog.putPolicies(rules, 1, "admin")).ok);
  await ring(catalog, clock, minute / 2);
  called.length = 0;
  back.add(later);
  await ring(catalog, clock, 2 * hour);
  assert.deepEqual(called, [later]);
});

test("the row of one ledger is none of those from where a walk goes on, whatever repositories are called", () => {
  for (const id of ["5 ", "5 alone", "5 a/b", "alone", "a/b"]) {
    assert.equal(nameOfOne(id), undefined, id);
  }
  for (const id of ["5 alone", "alone", "5 a/b", "a/b"]) {
    assert.equal(nameOfOne(idOfOne(id)), id.split(" ").at(-1), id);
  }
});

test("collection passes over what has data of a later release, and waits for what cannot be reached", async () => {
  const { env, called, back } = ledgers();
  const clock = clockOf();
  const registry = {
    clock,
    catalog: () => ({ listLedgers: async () => ({ entries: names.slice(0, 5), more: false }) }),
    listedLedger: (name: RepositoryName) => repositoryStub(env, name),
    listShards: async () => [],
  } as unknown as Registry;
  await assert.rejects(collect(registry, undefined, false), /out of reach/);
  back.add(away);
  called.length = 0;
  assert((await collect(registry, undefined, false)).ok);
  assert.deepEqual(called, names.slice(0, 5));
});

test("a scrub deletes no orphaned object while a shard cannot say whether it knows it, and goes on", async () => {
  const deleted: string[] = [];
  const objects = ["blobs/known", "blobs/unknown"].map((key) => ({ key, storedAtMs: 0 }));
  const bucket = {
    list: async () => ({ objects, cursor: "next" }),
    delete: async (keys: string[]) => void deleted.push(...keys),
  };
  let isLater = true;
  const shard = {
    unknownKeys: async (keys: string[]) =>
      isLater
        ? { hasLaterData: true, why: "of a later release" }
        : keys.filter((key) => key !== "blobs/known"),
  };
  const stores = {
    objects: { BLOB_SHARDS: namespaceOf(shard), CATALOG: namespaceOf({ shards: async () => ["00"] }) },
    bucket,
    settings: { gcGraceMs: hour },
  } as unknown as Stores;
  const { report, next } = await scrubBucket(stores, "", 2 * hour);
  assert.deepEqual([deleted, next], [[], "next"]);
  assert.match(JSON.stringify(report.unchecked), /"what":"shard 00","detail":"2 keys: HasLaterData/);
  isLater = false;
  await scrubBucket(stores, "", 2 * hour);
  assert.deepEqual(deleted, ["blobs/unknown"]);
});
