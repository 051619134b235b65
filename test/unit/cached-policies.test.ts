import assert from "node:assert/strict";
import test from "node:test";
import type { Digest, Tag } from "../../src/oci/reference.ts";
import type { Policy } from "../../src/policy/document.ts";
import { memoryLedger } from "../support/ledger.ts";

const policy: Policy = {
  tags: { immutable: ["*"], allow: ["v*"] },
  remove: { tags: ["*"], untaggedAfter: "1d" },
  from: { tags: 0, remove: 0 },
};

test("a cached repository is under no rule: its upstream decides", () => {
  const { policies, repository, cache, due, change } = memoryLedger();
  change((tx) => cache.claim(tx, 0));
  repository.reload();
  change((tx) => policies.adopt(tx, { version: 1, policy }));
  assert.equal(policies.refusePush(["latest" as Tag], "sha256:1" as Digest), undefined);
  assert.deepEqual(policies.untaggedTtl, { ttlMs: undefined, isRule: false });
  assert(!due.has("retention"));
});

test("the same rules hold for a repository that is pushed to", () => {
  const { policies, due, change } = memoryLedger();
  change((tx) => policies.adopt(tx, { version: 1, policy }));
  assert.notEqual(policies.refusePush(["latest" as Tag], "sha256:1" as Digest), undefined);
  assert(policies.untaggedTtl.isRule);
  assert(due.has("retention"));
});
