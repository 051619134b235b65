import assert from "node:assert/strict";
import test from "node:test";
import { policyFor, type Rules } from "../../../src/policy/document.ts";

const rules: Rules = [
  { repositories: ["team/special"], keep: [{ tags: ["*"] }] },
  {
    repositories: ["team/**", "other/*"],
    tags: { immutable: ["v*"] },
    keep: [{ tags: ["*"], newest: 5 }],
    remove: { tags: ["*"] },
  },
  { repositories: ["**"], tags: { allow: ["a*"] }, names: { allow: ["*/*"] } },
];

test("of each section, the first rule that matches and has it holds", () => {
  assert.deepEqual(policyFor(rules, "team/special"), {
    keep: [{ tags: ["*"] }],
    tags: { immutable: ["v*"] },
    remove: { tags: ["*"] },
    names: { allow: ["*/*"] },
    from: { keep: 0, tags: 1, remove: 1, names: 2 },
  });
  assert.deepEqual(policyFor(rules, "other/app").from, { tags: 1, keep: 1, remove: 1, names: 2 });
  assert.deepEqual(policyFor(rules, "other/deep/app"), {
    tags: { allow: ["a*"] },
    names: { allow: ["*/*"] },
    from: { tags: 2, names: 2 },
  });
});

test("without a rule that matches, nothing holds", () => {
  assert.deepEqual(policyFor([], "team/app"), { from: {} });
  assert.deepEqual(policyFor(rules.slice(0, 2), "alone"), { from: {} });
});
