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
