import assert from "node:assert/strict";
import test from "node:test";
import type { RepositoryName } from "../../../src/oci/reference.ts";
import type { StoredPolicies } from "../../../src/policy/document.ts";
import { PolicyCache } from "../../../src/registry/policy-cache.ts";
import { Unreachable } from "../../../src/rpc/stubs.ts";

const name = "team/app" as RepositoryName;

/** The policies of an isolate, and a catalog that can be made unreachable. */
function start() {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  const catalog = { document: undefined as StoredPolicies | undefined, isDown: false, calls: 0 };
  const policies = async () => {
    catalog.calls++;
    if (catalog.isDown) throw new Unreachable("policies");
    return catalog.document;
  };
  const putPolicies = () => assert.fail("nothing is put");
  return { clock, catalog, cache: new PolicyCache(clock, () => ({ policies, putPolicies })) };
}

const document = (version: number): StoredPolicies => ({
  version,
  rules: [{ repositories: ["**"], names: { allow: [`v${version}/*`] } }],
  putAtMs: 0,
  putBy: "admin",
});

test("an isolate that never read the policies lets nothing pass while the catalog cannot be reached", async () => {
  const { cache, catalog } = start();
  catalog.isDown = true;
  await assert.rejects(cache.of(name), Unreachable);
  await assert.rejects(cache.of(name), Unreachable);
  catalog.isDown = false;
  assert.equal(await cache.of(name), undefined);
});

test("one that has read them goes by those, and asks again every few seconds", async () => {
  const { cache, catalog, clock } = start();
  catalog.document = document(1);
  assert.equal((await cache.of(name))?.version, 1);
  catalog.document = document(2);
  clock.nowMs += 49_000;
  assert.equal((await cache.of(name))?.version, 1, "for less than a minute");
  catalog.isDown = true;
  clock.nowMs += 1_000;
  for (const _ of [1, 2, 3]) assert.equal((await cache.of(name))?.version, 1);
  assert.equal(catalog.calls, 2, "it does not ask before each write");
  catalog.isDown = false;
  clock.nowMs += 5_000;
  assert.equal((await cache.of(name))?.version, 2);
});
