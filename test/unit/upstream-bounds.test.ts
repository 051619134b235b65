/** Which cached repositories give up content, for the bounds of an upstream and for a disk that is low. */
import assert from "node:assert/strict";
import test from "node:test";
import { hasBounds, keepBounds, missingBytes } from "../../src/objects/upstream/bounds.ts";
import type { Upstream } from "../../src/oci/upstream.ts";
import type { ObjectBindings } from "../../src/rpc/stubs.ts";
import { day } from "../../src/units.ts";
import { namespaceOf } from "../support/namespace.ts";

const today = 100;

/** Repositories of 10 bytes, each last used on a day; those that are asked to evict have nothing afterwards. */
function cachesUsedOn(days: Record<string, number>) {
  const kept = new Map(Object.entries(days));
  const ledger = (name: string) => ({
    cacheUsage: async () => ({ bytes: kept.has(name) ? 10 : 0, oldestDay: kept.get(name) ?? null }),
    evict: async (beforeDay: number) => {
      const isOld = (kept.get(name) ?? beforeDay) < beforeDay;
      if (isOld) kept.delete(name);
      return { manifests: isOld ? 1 : 0, blobs: 0, bytes: isOld ? 10 : 0, more: false };
    },
  });
  const entries = Object.keys(days).map((name) => ({ name, kind: "cache" }));
  const catalog = { listRepositories: async () => ({ entries, more: false }) };
  const env = { LEDGERS: { getByName: ledger }, CATALOG: namespaceOf(catalog) };
  return { env: env as unknown as ObjectBindings, kept: () => [...kept.keys()] };
}

function upstream(more: object): Upstream {
  return { id: "up", isOffline: false, ...more } as Upstream;
}

const four = { "up/a": 97, "up/b": 98, "up/c": 99, "up/d": today };

const cases: [what: string, settings: object, lackingBytes: number, kept: string[]][] = [
  ["nothing to keep within", {}, 0, ["up/a", "up/b", "up/c", "up/d"]],
  ["maxBytes", { maxBytes: 25 }, 0, ["up/c", "up/d"]],
  ["a disk that lacks some", {}, 15, ["up/c", "up/d"]],
  ["a disk that lacks more than maxBytes asks for", { maxBytes: 35 }, 25, ["up/d"]],
  ["a disk that lacks more than there is: what was used today stays", {}, 1000, ["up/d"]],
  ["an upstream that is offline", { isOffline: true }, 1000, ["up/a", "up/b", "up/c", "up/d"]],
];

for (const [what, settings, lackingBytes, kept] of cases)
  test(`what was not used for longest goes: ${what}`, async () => {
    const caches = cachesUsedOn(four);
    await keepBounds(caches.env, today * day, upstream(settings), lackingBytes);
    assert.deepEqual(caches.kept(), kept);
  });

test("an index that stays for an image that was used since does not keep the bounds from ending", async () => {
  const asked: number[] = [];
  const ledger = {
    cacheUsage: async () => ({ bytes: 10, oldestDay: 97 }),
    evict: async (beforeDay: number) => {
      assert(asked.push(beforeDay) <= 4, "it is asked again and again");
      return { manifests: 0, blobs: 0, bytes: 0, more: false };
    },
  };
  const entries = [{ name: "up/a", kind: "cache" }];
  const catalog = { listRepositories: async () => ({ entries, more: false }) };
  const env = { LEDGERS: namespaceOf(ledger), CATALOG: namespaceOf(catalog) } as unknown as ObjectBindings;
  await keepBounds(env, today * day, upstream({ maxBytes: 1 }), 0);
  assert.deepEqual(asked, [98, 99, 100]);
});

test("only cached repositories below the id of the upstream give up content", async () => {
  const asked: string[] = [];
  const ledger = (name: string) => ({
    evict: async () => {
      asked.push(name);
      return { manifests: 0, blobs: 0, bytes: 0, more: false };
    },
  });
  const pages = [
    [
      { name: "up/a", kind: "cache" },
      { name: "up/pushed", kind: "ordinary" },
    ],
    [
      { name: "up/b", kind: "cache" },
      { name: "other/up/c", kind: "cache" },
    ],
    [{ name: "other/up/d", kind: "cache" }],
  ];
  const catalog = {
    listRepositories: async () => ({ entries: pages.shift() ?? [], more: pages.length > 0 }),
  };
  const env = { LEDGERS: { getByName: ledger }, CATALOG: namespaceOf(catalog) };
  await keepBounds(env as unknown as ObjectBindings, today * day, upstream({ keepForMs: day }), 0);
  assert.deepEqual(asked, ["up/a", "up/b"]);
  assert.equal(pages.length, 1);
});

test("a disk lacks what is missing until it is no longer low", () => {
  const disk = { freeBytes: 110, totalBytes: 1000, reserveBytes: 100 };
  assert.equal(missingBytes({ ...disk, isLow: true }), 40);
  assert.equal(missingBytes({ ...disk, isLow: false }), 0);
  assert.equal(missingBytes(undefined), 0);
});

test("on a disk every upstream that is not offline has bounds", () => {
  assert.equal(hasBounds(upstream({}), true), true);
  assert.equal(hasBounds(upstream({ isOffline: true }), true), false);
  assert.equal(hasBounds(upstream({}), false), false);
  assert.equal(hasBounds(upstream({ isOffline: true, maxBytes: 1 }), false), true);
});
