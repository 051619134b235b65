/** What ledgers announce that their repositories hold, as the object that finds repositories adds it up. */
import assert from "node:assert/strict";
import test from "node:test";
import { applySchema } from "../../src/objects/schema.ts";
import { searchSchema } from "../../src/objects/search/schema.ts";
import { SearchStore } from "../../src/objects/search/store.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { readUsage } from "../../src/registry/collection.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { SearchEntry } from "../../src/rpc/search-api.ts";
import type { RepositoryUsage } from "../../src/rpc/upkeep.ts";
import { memoryStorage } from "../support/sqlite.ts";

const nameOf = (number: number) => `team/app-${String(number).padStart(6, "0")}` as RepositoryName;

/** That of a repository with a manifest of 500 bytes, and a blob of 1,000. */
const held: RepositoryUsage = {
  manifests: 1,
  tags: 1,
  blobs: 1,
  blobBytes: 1000,
  ledgerBytes: 100_000,
  logical: { objects: 2, bytes: 1500 },
  stored: { objects: 2, bytes: 1500 },
};

function entryOf(name: RepositoryName, version: number, usage?: RepositoryUsage): SearchEntry {
  const info = { name, visibility: "private", description: "" } as const;
  const facts = { pushedAtMs: null, pushedBy: null, usedDay: null, kinds: [], platforms: [] };
  return { ...info, version, tags: 1, sizeBytes: 1500, ...facts, ...(usage && { usage }) };
}

/** A store, and a registry with it, whose other objects count their calls. */
function registryOf() {
  const storage = memoryStorage();
  transaction(storage, (tx) => applySchema(tx, searchSchema));
  const store = new SearchStore(storage.sql, false);
  const calls: string[] = [];
  const registry = {
    search: () => ({
      usage: async (last: string, limit: number) => store.usage(last, limit),
      totalUsage: async () => ({ ...store.totalUsage(), isComplete: true }),
    }),
    listedLedger: (name: RepositoryName) => ({
      usage: async () => {
        calls.push(name);
        return { ...held, tags: 2 };
      },
    }),
    listShards: async () => ["00"],
    shardNamed: () => ({
      usage: async () => ({ blobs: { objects: 3, bytes: 3000 }, leaving: { objects: 1, bytes: 10 } }),
    }),
  } as unknown as Registry;
  const put = (entry: SearchEntry) => transaction(storage, (tx) => store.put(tx, entry, [], true));
  return { registry, store, storage, put, calls };
}

test("any number of repositories is added up without a call to any of them", async () => {
  const { registry, storage, store, calls } = registryOf();
  const count = 20_000;
  transaction(storage, (tx) => {
    for (let number = 0; number < count; number++) store.put(tx, entryOf(nameOf(number), 1, held), [], true);
  });
  const { entries, more, total } = await readUsage(registry, { last: "", limit: 2 });
  assert.deepEqual(
    entries,
    [nameOf(0), nameOf(1)].map((name) => ({ name, ...held })),
  );
  assert(more);
  assert.deepEqual(total, {
    repositories: count,
    logical: { objects: 2 * count, bytes: 1500 * count },
    stored: { objects: count + 3, bytes: 500 * count + 3000 },
    leaving: { objects: 1, bytes: 10 },
    isComplete: true,
  });
  assert.deepEqual(calls, []);
  const next = await readUsage(registry, { last: nameOf(count - 2), limit: 2 });
  assert.deepEqual([next.entries.length, next.more, next.total], [1, false, undefined]);
});

test("a repository that said nothing since an earlier release is asked, and the total is not complete", async () => {
  const { registry, put, calls } = registryOf();
  put(entryOf(nameOf(1), 1, held));
  put(entryOf(nameOf(2), 1));
  const { entries, total } = await readUsage(registry, { last: "", limit: 10 });
  assert.deepEqual(
    entries.map(({ tags }) => tags),
    [1, 2],
  );
  assert.deepEqual([calls, total?.isComplete, total?.logical.bytes], [[nameOf(2)], false, 1500]);
});

test("sums that an earlier release has left behind count no longer, and those of an announcement of rights do", async () => {
  const { store, storage, put } = registryOf();
  const name = nameOf(1);
  const told = () => store.usage("", 1).entries[0]?.usage ?? null;
  put(entryOf(name, 1, held));
  const info = { name, visibility: "public", description: "" } as const;
  transaction(storage, (tx) => store.putInfo(tx, info, 2));
  assert.deepEqual(told(), held);
  // As a release does that does not know of them.
  storage.sql.exec("UPDATE repositories SET version = 3");
  assert.equal(told(), null);
  put(entryOf(name, 4, held));
  assert.deepEqual(told(), held);
});

test("a registry without repositories holds nothing", async () => {
  const { registry } = registryOf();
  const { entries, total } = await readUsage(registry, { last: "", limit: 10 });
  assert.deepEqual(entries, []);
  assert.deepEqual([total?.repositories, total?.logical], [0, { objects: 0, bytes: 0 }]);
});
