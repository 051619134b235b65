import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import {
  everything,
  findGrant,
  isAdministrator,
  isPattern,
  matchesPattern,
  parseGrants,
} from "../../src/oci/grant.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";

describe("a pattern matches whole names, segment by segment", () => {
  const cases: [string, string[], string[]][] = [
    ["app", ["app"], ["apps", "ap", "app/a", "a/app", ""]],
    ["team/app", ["team/app"], ["team", "team/app/x", "x/team/app", "team/ap"]],
    ["*", ["app", "a-b.c"], ["team/app"]],
    ["**", ["app", "team/app", "a/b/c/d"], []],
    ["team/*", ["team/app"], ["team", "team/a/b", "teams/app", "xteam/app"]],
    ["team/**", ["team/app", "team/a/b/c"], ["team", "teams/app", "team-x/app", "x/team/app"]],
    ["**/app", ["team/app", "a/b/app"], ["app", "team/apps", "team/app/x"]],
    ["*/app", ["team/app"], ["app", "a/b/app"]],
    ["*/**", ["a/b", "a/b/c"], ["a"]],
    ["**/*", ["a/b", "a/b/c"], ["a"]],
    ["**/**", ["a/b", "a/b/c"], ["a"]],
    ["a/**/z", ["a/b/z", "a/b/c/z", "a/z/z"], ["a/z", "a/b/z/y", "z/b/z"]],
    ["**/b/**", ["a/b/c", "b/b/b", "a/x/b/c/d", "a/b/b"], ["b/c", "a/b", "a/c/d"]],
    ["**/b/**/d", ["a/b/c/d", "a/b/b/c/d"], ["a/b/d", "b/c/d"]],
    ["app-*", ["app-", "app-x"], ["app", "app-x/y"]],
    ["*-prod", ["a-prod", "-prod"], ["prod", "a-prods"]],
    ["a*b*c", ["abc", "axbxc", "abbc", "abcc"], ["ab", "acb", "aXb"]],
    ["a*a", ["aa", "aba"], ["a"]],
    ["*a*", ["a", "xax"], ["x"]],
    ["team/*/app-*", ["team/x/app-1"], ["team/app-1", "team/x/y/app-1", "team/x/app"]],
    ["a.b", ["a.b"], ["axb"]],
    ["constructor", ["constructor"], ["__proto__"]],
  ];
  for (const [pattern, matched, others] of cases) {
    test(pattern, () => {
      for (const name of matched) assert(matchesPattern(pattern, name), name);
      for (const name of others) assert(!matchesPattern(pattern, name), name);
    });
  }

  test("as a regular expression of it would", () => {
    const segment = fc.stringMatching(/^[ab]{1,3}$/);
    const patternSegment = fc.oneof(fc.constant("**"), fc.stringMatching(/^[ab*]{1,4}$/));
    const property = fc.property(
      fc.array(patternSegment, { minLength: 1, maxLength: 5 }),
      fc.array(segment, { minLength: 1, maxLength: 6 }),
      (segments, names) => {
        const pattern = segments.join("/");
        fc.pre(isPattern(pattern));
        const source = segments.map((part) =>
          part === "**" ? "[^/]+(?:/[^/]+)*" : part.replaceAll("*", "[^/]*"),
        );
        const expected = new RegExp(`^${source.join("/")}$`).test(names.join("/"));
        assert.equal(matchesPattern(pattern, names.join("/")), expected);
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });

  test("in little time, whatever it looks like", () => {
    const started = performance.now();
    const name = Array.from({ length: 120 }, () => "a").join("/");
    assert(!matchesPattern(`${Array.from({ length: 60 }, () => "**").join("/")}/b`, name));
    assert(!matchesPattern(`${"*a".repeat(120)}b`, "a".repeat(250)));
    // One that tries all ways to match takes years: the bound is wide, and still tells them apart.
    assert(performance.now() - started < 5000);
  });
});

test("patterns are of lower case, without empty segments", () => {
  for (const text of ["a", "a/b", "*", "**", "a/**/b", "a*b-c_d.e", "a/*"]) assert(isPattern(text), text);
  for (const text of [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "A",
    "a b",
    "a**",
    "**a",
    "***",
    "a/***",
    "[a]",
    "a?",
    "ä",
    "a\n",
    "\u0000",
  ]) {
    assert(!isPattern(text), JSON.stringify(text));
  }
  assert(isPattern("a".repeat(255)) && !isPattern("a".repeat(256)));
});

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
