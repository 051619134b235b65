import assert from "node:assert/strict";
import test from "node:test";
import { everything, findGrant, isAdministrator, parseGrants } from "../../src/oci/grant.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";

test("a grant is for its verbs alone, and the first one that fits is found", () => {
  const grants = parseGrants([
    { repository: "team/**", verbs: ["pull"] },
    { repository: "team/app", verbs: ["push"] },
  ]);
  assert(grants !== undefined);
  const find = (verb: "pull" | "push" | "delete", name: string) =>
    findGrant(grants, verb, name as RepositoryName);
  assert.equal(find("pull", "team/app"), grants[0]);
  assert.equal(find("push", "team/app"), grants[1]);
  assert.equal(find("push", "team/other"), undefined);
  assert.equal(find("delete", "team/app"), undefined);
  assert.equal(find("pull", "other"), undefined);
});

test("an administrator is who may administer everything", () => {
  assert(isAdministrator(everything));
  for (const grants of [
    [],
    [{ repository: "*", verbs: ["admin" as const] }],
    [{ repository: "*/**", verbs: ["admin" as const] }],
    [{ repository: "**", verbs: ["pull" as const, "push" as const, "delete" as const] }],
  ]) {
    assert(!isAdministrator(grants));
  }
});

test("grants that came as JSON are taken whole or not at all, with no field that there is not", () => {
  assert.deepEqual(parseGrants([]), []);
  assert.deepEqual(parseGrants([{ repository: "a", verbs: ["pull", "pull"] }]), [
    { repository: "a", verbs: ["pull"] },
  ]);
  const good = { repository: "a", verbs: ["pull"] };
  for (const wrong of [
    undefined,
    null,
    {},
    "a",
    [good, null],
    [good, { ...good, verbs: "pull" }],
    [good, { verbs: [] }],
    [good, { ...good, expires: "2027-01-01" }],
  ]) {
    assert.equal(parseGrants(wrong), undefined);
  }
  assert.equal(parseGrants(Array(201).fill(good)), undefined);
  assert.equal(parseGrants(Array(200).fill(good))?.length, 200);
});
