/** The policies as an isolate knows them. */
import assert from "node:assert/strict";
import test from "node:test";
import type { RepositoryName } from "../../src/oci/reference.ts";
import type { StoredPolicies } from "../../src/policy/document.ts";
import { PolicyCache } from "../../src/registry/policy-cache.ts";
import { Unreachable } from "../../src/rpc/stubs.ts";

const name = "team/app" as RepositoryName;
const document = (version: number): StoredPolicies => ({ version, rules: [], putAtMs: 0, putBy: "admin" });

/** A cache before a catalog that answers so. */
function cacheBefore(policies: () => Promise<StoredPolicies | undefined>) {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const asked = { times: 0 };
  const catalog = {
    policies: () => {
      asked.times++;
      return policies();
    },
    putPolicies: async () => ({ ok: true, policies: document(7) }) as const,
  };
  return { cache: new PolicyCache(clock, () => catalog), clock, asked };
}

const outOfReach = () => Promise.reject(new Unreachable("the catalog"));

test("an answer that comes late does not take the place of a newer one", async () => {
  const { promise, resolve } = Promise.withResolvers<StoredPolicies>();
  const { cache } = cacheBefore(() => promise);
  const reading = cache.of(name);
  await cache.put([], undefined, "admin");
  resolve(document(6));
  assert.equal((await reading)?.version, 7);
  assert.equal((await cache.of(name))?.version, 7);
});

test("what an isolate never read lets nothing through; what it did will do while the catalog is out of reach", async () => {
  let answer: () => Promise<StoredPolicies | undefined> = outOfReach;
  const { cache, clock, asked } = cacheBefore(() => answer());
  await assert.rejects(cache.of(name), Unreachable);
  answer = async () => document(1);
  assert.equal((await cache.of(name))?.version, 1);
  answer = outOfReach;
  clock.nowMs += 50_000;
  const before = asked.times;
  for (let write = 0; write < 3; write++) assert.equal((await cache.of(name))?.version, 1);
  assert.equal(asked.times, before + 1);
  // It is asked again soon.
  answer = async () => document(2);
  clock.nowMs += 5000;
  assert.equal((await cache.of(name))?.version, 2);
});
