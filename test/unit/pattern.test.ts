import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import {
  isPattern,
  isTagPattern,
  matchesPattern,
  matchesTagPattern,
  matchesText,
} from "../../src/oci/pattern.ts";

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
    ["v?", ["v1", "v-", "v."], ["v", "v12", "v/"]],
    ["?*", ["a", "ab"], ["", "a/b"]],
    ["*?", ["a", "ab"], ["", "a/b"]],
    ["v[0-9]", ["v0", "v9"], ["va", "v10", "v"]],
    ["v[0-9]*", ["v1", "v10.2-rc"], ["va1", "v"]],
    ["[a-cx]pp", ["app", "xpp"], ["dpp", "-pp", "[pp"]],
    ["*[0-9]-*[a-b]", ["x1-ya", "11-1-b"], ["x-ya", "x1-yc"]],
    ["a[._]b/?/**", ["a.b/c/d", "a_b/c/d/e"], ["a-b/c/d", "a.b/cc/d", "a.b/c"]],
  ];
  for (const [pattern, matched, others] of cases) {
    test(pattern, () => {
      for (const name of matched) assert(matchesPattern(pattern, name), name);
      for (const name of others) assert(!matchesPattern(pattern, name), name);
    });
  }

  test("as a regular expression of it would", () => {
    const segment = fc.stringMatching(/^[ab]{1,3}$/);
    const patternSegment = fc.oneof(fc.constant("**"), fc.stringMatching(/^([ab*?]|\[ab\]|\[a-b\]){1,4}$/));
    const property = fc.property(
      fc.array(patternSegment, { minLength: 1, maxLength: 5 }),
      fc.array(segment, { minLength: 1, maxLength: 6 }),
      (segments, names) => {
        const pattern = segments.join("/");
        fc.pre(isPattern(pattern));
        const source = segments.map((part) =>
          part === "**" ? "[^/]+(?:/[^/]+)*" : part.replaceAll("*", "[^/]*").replaceAll("?", "[^/]"),
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
    assert(!matchesPattern(`${"*?".repeat(80)}[0-9]`, "a".repeat(250)));
    // One that tries all ways to match takes years: the bound is wide, and still tells them apart.
    assert(performance.now() - started < 5000);
  });
});

test("patterns of names are of lower case, without empty segments", () => {
  for (const text of [
    "a",
    "a/b",
    "*",
    "**",
    "a/**/b",
    "a*b-c_d.e",
    "a/*",
    "a?",
    "[a]",
    "[a-z0-9._]x",
    "*[0-9]?/**",
  ])
    assert(isPattern(text), text);
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
    "[]",
    "[a",
    "a]",
    "[z-a]",
    "[a-]",
    "[^a]",
    "[A-Z]",
    "[a/b]",
    "[[a]]",
    "a**?",
    "ä",
    "a\n",
    "\u0000",
  ]) {
    assert(!isPattern(text), JSON.stringify(text));
  }
  assert(isPattern("a".repeat(255)) && !isPattern("a".repeat(256)));
});

test("patterns of tags are of one segment, in both cases", () => {
  for (const text of ["v[0-9]*", "latest", "PR-?", "[A-Za-z]*", "*"]) assert(isTagPattern(text), text);
  for (const text of ["", "a/b", "**", "a**", "[Z-A]", "[a-Z]", "ä", "a b"])
    assert(!isTagPattern(text), text);
  assert(matchesTagPattern("[A-Z]?*", "Rc-1") && !matchesTagPattern("[A-Z]?*", "rc-1"));
});

test("of a text of any characters, only stars match more than themselves", () => {
  assert(matchesText("dependabot[bot]", "dependabot[bot]"));
  assert(!matchesText("dependabot[bot]", "dependabotb"));
  assert(matchesText("repo:team/*:ref?", "repo:team/app:ref?"));
  assert(!matchesText("repo:team/*:ref?", "repo:team/app:refs"));
});
