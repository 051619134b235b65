/** Tags as ledgers announce them, and as the object that finds repositories keeps them: any number, in bounded pieces. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { jobsOf } from "../../src/objects/ledger/feature.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { findTags } from "../../src/objects/search/find.ts";
import { createTextIndex, dropTagsJob, searchSchema } from "../../src/objects/search/schema.ts";
import { SearchStore } from "../../src/objects/search/store.ts";
import { oneRow, readRows, type Tx, transaction } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
import type { SearchEntry, TagChange } from "../../src/rpc/search-api.ts";
import { largeLedger } from "../support/ledger.ts";
import { namespaceOf } from "../support/namespace.ts";
import { memoryStorage } from "../support/sqlite.ts";

const [app, other] = ["team/app", "team/other"] as RepositoryName[] as [RepositoryName, RepositoryName];

/** How many rows a call may write at most: a thousand tags with their rows in two indexes are removed, and as many added. */
const mostRows = 2_100;

function entryOf(name: RepositoryName, version: number): SearchEntry {
  const info = { name, visibility: "private", description: "what it is" } as const;
  const facts = { pushedAtMs: null, pushedBy: null, usedDay: null, kinds: [], platforms: [] };
  return { ...info, version, tags: 0, sizeBytes: 0, ...facts };
}

/** Tags with numbers from the first up to the last. */
const numbered = (first: number, last: number): TagChange[] =>
  Array.from({ length: last - first + 1 }, (_, index) => {
    const number = String(first + index);
    return { tag: `v${number}` as Tag, digest: `sha256:${number.padStart(64, "0")}` as Digest };
  });

/** What is kept, and the numbers that were set aside and whose tags are still to be removed. */
function makeSearch() {
  const storage = memoryStorage();
  const hasText = transaction(storage, (tx) => {
    applySchema(tx, searchSchema);
    return createTextIndex(tx);
  });
  const { sql } = storage;
  const store = new SearchStore(sql, hasText);
  const total = () => oneRow<{ n: number }>(sql, "SELECT total_changes() AS n").n;
  let longest = 0;
  const change = <T>(work: (tx: Tx) => T): T => {
    const before = total();
    const result = transaction(storage, work);
    longest = Math.max(longest, total() - before);
    return result;
  };
  const setAside = (work: (tx: Tx) => number | undefined) =>
    change((tx) => {
      const id = work(tx);
      if (id !== undefined)
        tx.write("INSERT INTO due (kind, id, at) VALUES (?, ?, 0)", dropTagsJob, String(id));
      return id;
    });
  const found = (text: string) =>
    findTags(sql, hasText, {
      ...{ text, kind: undefined, platform: undefined, visibility: undefined, order: "relevance" },
      ...{ readable: [["**"]], offset: 0, limit: 100_000 },
    }).entries.map(({ repository, tag, digest }) => `${repository}:${tag}@${digest.slice(-4)}`);
  return { sql, store, change, setAside, found, longest: () => longest };
}

const tagsFound = (name: RepositoryName, tags: TagChange[]) =>
  tags.map(({ tag, digest }) => `${name}:${tag}@${digest?.slice(-4)}`).toSorted();

test("what replaces many tags writes few rows at a time, and nobody finds those that are left", () => {
  const { store, change, setAside, found, longest } = makeSearch();
  assert.equal(
    setAside((tx) => store.put(tx, entryOf(app, 1), numbered(1, 1000), true)),
    undefined,
  );
  for (let first = 1001; first <= 5000; first += 1000)
    assert(change((tx) => store.putTags(tx, app, 1, numbered(first, first + 999))));
  assert.equal(found("team/app:v").length, 5000);
  const left = setAside((tx) => store.put(tx, entryOf(app, 2), numbered(1, 3), true));
  assert(left !== undefined);
  assert.deepEqual(found("team/app:v"), tagsFound(app, numbered(1, 3)));
  assert.deepEqual(
    found("app:v2"),
    tagsFound(app, numbered(2, 2)),
    "by its new number in the index of texts",
  );
  let batches = 1;
  while (!change((tx) => store.dropTags(tx, left))) batches++;
  assert(batches >= 4, `${batches} batches`);
  assert.deepEqual(found("team/app:v"), tagsFound(app, numbered(1, 3)));
  assert(longest() <= mostRows, `${longest()} rows at once`);
});

test("a number is not given again while tags of it are left", () => {
  const { store, change, setAside, found } = makeSearch();
  setAside((tx) => store.put(tx, entryOf(app, 1), numbered(1, 1500), true));
  const left = setAside((tx) => store.remove(tx, app, 2));
  assert(left !== undefined);
  assert.deepEqual(found("v"), []);
  change((tx) => tx.write("DELETE FROM tags"));
  setAside((tx) => store.put(tx, entryOf(other, 1), numbered(1, 2), true));
  while (!change((tx) => store.dropTags(tx, left)));
  assert.deepEqual(found("v"), tagsFound(other, numbered(1, 2)));
});

test("a part of an announcement is only taken as long as the announcement is the latest", () => {
  const { store, change, setAside, found } = makeSearch();
  assert.equal(
    change((tx) => store.putTags(tx, app, 1, numbered(1, 1))),
    false,
  );
  setAside((tx) => store.put(tx, entryOf(app, 1), numbered(1, 1), true));
  change((tx) => store.putInfo(tx, entryOf(app, 2), 2));
  assert.equal(
    change((tx) => store.putTags(tx, app, 1, numbered(2, 2))),
    false,
  );
  setAside((tx) => store.remove(tx, app, 3));
  assert.equal(
    change((tx) => store.putTags(tx, app, 2, numbered(2, 2))),
    false,
  );
  assert.deepEqual(found("v"), []);
});

test("what was removed is not listed again by who has not heard of that", () => {
  const { store, sql, change, setAside } = makeSearch();
  const listed = { ...entryOf(app, 0), pulls: 3, lastPulledAtMs: 5 };
  setAside((tx) => store.put(tx, entryOf(app, 1), numbered(1, 1), true));
  setAside((tx) => store.remove(tx, app, 2));
  change((tx) => store.list(tx, listed));
  const names = () =>
    readRows<{ name: string }>(sql, "SELECT name FROM repositories").map(({ name }) => name);
  assert.deepEqual(names(), []);
  change((tx) => store.list(tx, { ...listed, name: other }));
  assert.deepEqual(names(), [other]);
  setAside((tx) => store.put(tx, entryOf(app, 3), numbered(1, 1), true));
  change((tx) => store.list(tx, listed));
  assert.deepEqual(names().toSorted(), [app, other]);
  assert.equal(
    oneRow<{ pulls: number }>(sql, "SELECT pulls FROM repositories WHERE name = 'team/app'").pulls,
    3,
  );
});

/** A ledger with so many tags whose announcements arrive in a store; `onCall` is told of each call before it arrives. */
function announcing(tagCount: number, onCall: (call: string, count: number) => unknown = () => {}) {
  const search = makeSearch();
  const { store, change, setAside } = search;
  const calls: number[] = [];
  const versions: number[] = [];
  const stub = {
    put: async (entry: SearchEntry, tags: TagChange[], isWhole: boolean) => {
      calls.push(tags.length);
      versions.push(entry.version);
      await onCall("put", calls.length);
      setAside((tx) => store.put(tx, entry, tags, isWhole));
      return store.isLatest(entry);
    },
    putTags: async (name: RepositoryName, version: number, tags: TagChange[]) => {
      calls.push(tags.length);
      await onCall("putTags", calls.length);
      return change((tx) => store.putTags(tx, name, version, tags));
    },
    putInfo: async (info: SearchEntry, version: number) => {
      versions.push(version);
      change((tx) => store.putInfo(tx, info, version));
    },
    remove: async (name: RepositoryName, version: number) =>
      setAside((tx) => store.remove(tx, name, version)),
  };
  const SEARCH = namespaceOf(stub) as unknown as NonNullable<Env["SEARCH"]>;
  const ledger = largeLedger(tagCount, { SEARCH });
  const announce = async () => {
    const kind = "announce-to-search";
    ledger.clock.nowMs += 10_000;
    calls.length = 0;
    await jobsOf(ledger.features)[kind]?.([]);
    return { calls: [...calls], isDue: ledger.due.has(kind) };
  };
  const told = () =>
    readRows<{ tag: Tag; digest: Digest }>(search.sql, "SELECT tag, tags.digest FROM tags ORDER BY tag");
  const own = () =>
    readRows<{ tag: Tag; digest: Digest }>(ledger.sql, "SELECT tag, digest FROM tags ORDER BY tag");
  const move = (tag: string, digest: string) =>
    ledger.change((tx) => ledger.tags.move(tx, tag as Tag, digest as Digest, registryItself));
  return { ...search, ledger, announce, told, own, move, versions };
}

test("all tags are announced at most a thousand at a time, and what moves meanwhile afterwards", async () => {
  const made = announcing(2_500, (_, count) => {
    if (count !== 2) return;
    for (const tag of ["tag-1", "tag-999", "new"]) made.move(tag, `sha256:${"1".repeat(64)}`);
  });
  const { announce, told, own } = made;
  made.ledger.change((tx) => made.ledger.search.wholly(tx));
  assert.deepEqual(await announce(), { calls: [1000, 1000, 500], isDue: true });
  assert.deepEqual(await announce(), { calls: [3], isDue: false });
  assert.deepEqual(told(), own());
});

test("what changes while a change is announced is announced as well", async () => {
  const made = announcing(10);
  const { announce, told, own, move } = made;
  made.ledger.change((tx) => made.ledger.search.wholly(tx));
  await announce();
  move("a", `sha256:${"1".repeat(64)}`);
  const announcement = announce();
  // Its call is under way.
  move("b", `sha256:${"2".repeat(64)}`);
  assert.equal((await announcement).isDue, true);
  assert.equal((await announce()).isDue, false);
  assert.deepEqual(told(), own());
});

test("an announcement in several calls begins again if a newer one came in between", async () => {
  const made = announcing(1_500, (call) => {
    if (call === "putTags") void made.ledger.search.now();
  });
  made.ledger.change((tx) => made.ledger.search.wholly(tx));
  const { isDue } = await made.announce();
  assert(isDue);
});

test("an announcement that a newer one overtakes is made again, with all that it told", async () => {
  let isOvertaken = false;
  const made = announcing(10, (call) => {
    if (call !== "put" || isOvertaken) return undefined;
    isOvertaken = true;
    return made.ledger.search.now();
  });
  const { announce, told, own } = made;
  made.ledger.change((tx) => made.ledger.search.wholly(tx));
  assert.equal((await announce()).isDue, true);
  assert.deepEqual(told(), []);
  assert.equal((await announce()).isDue, false);
  assert.deepEqual(told(), own());
});

test("an announcement that is made while another is under way is the newer one", async () => {
  const made = announcing(10, async (call) => {
    if (call === "put") await made.ledger.search.now();
  });
  made.ledger.change((tx) => made.ledger.search.wholly(tx));
  await made.announce();
  const [first = 0, second = 0, ...more] = made.versions;
  assert.deepEqual(more, []);
  assert(second > first, `${second} is not after ${first}`);
});
