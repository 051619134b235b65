import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import {
  formatScope,
  grantsOfAccess,
  includesCatalog,
  maxScopes,
  parseAccessClaim,
  parseScopes,
  verbsOf,
} from "../../src/oci/scope.ts";

describe("scopes are read", () => {
  const cases: [string[], [string, string, string[]][]][] = [
    [[], []],
    [[""], []],
    [["repository:a:pull"], [["repository", "a", ["pull"]]]],
    [["repository:a/b:pull,push"], [["repository", "a/b", ["pull", "push"]]]],
    [["repository:a:"], [["repository", "a", []]]],
    [["repository:a:,pull,,"], [["repository", "a", ["pull"]]]],
    [["repository(plugin):a:pull"], [["repository", "a", ["pull"]]]],
    [["registry:catalog:*"], [["registry", "catalog", ["*"]]]],
    [
      ["repository:a:pull repository:b:push"],
      [
        ["repository", "a", ["pull"]],
        ["repository", "b", ["push"]],
      ],
    ],
    [["repository:a:pull", "repository:a:push,pull"], [["repository", "a", ["pull", "push"]]]],
    [["  repository:a:pull   "], [["repository", "a", ["pull"]]]],
    [["x", "repository:a:pull"], [["repository", "a", ["pull"]]]],
    [["repository:*:pull", "repository:a/**:pull", "repository:A:pull", "repository:../a:pull"], []],
    [["repository:a:pull:x", "repository:a", "a:pull", "repository:a:PULL", "repository:a:pull\n"], []],
    [["other:what:ever"], [["other", "what", ["ever"]]]],
  ];
  for (const [texts, expected] of cases) {
    test(JSON.stringify(texts), () => {
      const entries = parseScopes(texts);
      assert.deepEqual(
        entries.map(({ type, name, actions }) => [type, name, actions]),
        expected,
      );
    });
  }

  test("back from how they are written", () => {
    for (const text of ["repository:a/b:pull,push", "registry:catalog:*", "repository:a:"]) {
      assert.deepEqual(parseScopes([text]).map(formatScope), [text]);
    }
  });

  test("no more of them than a limit", () => {
    const many = Array.from({ length: 5000 }, (_, i) => `repository:r${i}:pull`);
    assert.equal(parseScopes(many).length, maxScopes);
    assert.equal(parseScopes([many.join(" ")]).length, maxScopes);
  });

  test("whatever they are, without an error", () => {
    const characters = fc.constantFrom(..."repository:()*,/ab. \u0000");
    const text = fc.oneof(fc.string(), fc.string({ unit: characters, maxLength: 60 }));
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        for (const { type, name } of parseScopes(texts)) {
          assert(type !== "repository" || /^[a-z0-9]/.test(name));
        }
      }),
    );
  });
});

test("the actions of a scope come to verbs of a grant", () => {
  assert.deepEqual(verbsOf(["*"]), ["pull", "push", "delete", "admin"]);
  assert.deepEqual(verbsOf(["push", "*"]), ["pull", "push", "delete", "admin"]);
  assert.deepEqual(verbsOf(["pull", "fly", "constructor", "Pull"]), ["pull"]);
  assert.deepEqual(verbsOf([]), []);
});

test("a claim of access is read as far as it is in shape", () => {
  const good = { type: "repository", name: "a", actions: ["pull"] };
  for (const wrong of [undefined, null, "x", 1, {}, { 0: good }])
    assert.deepEqual(parseAccessClaim(wrong), []);
  const claim = [
    good,
    null,
    1,
    [],
    {},
    { ...good, name: 1 },
    { ...good, actions: "pull" },
    { ...good, actions: [1, "push"] },
  ];
  assert.deepEqual(parseAccessClaim(claim), [good, { ...good, actions: ["push"] }]);
  assert.deepEqual(parseAccessClaim([{ ...good, denied: ["push", 1], more: 1 }]), [
    { ...good, denied: ["push"] },
  ]);
  assert.equal(parseAccessClaim(Array(1000).fill(good)).length, maxScopes);
});

test("a claim of access grants something on the repositories that it names, never by a pattern", () => {
  const entry = (name: string, type = "repository") => ({ type, name, actions: ["pull", "x"] });
  assert.deepEqual(grantsOfAccess([entry("a/b"), entry("c")]), [
    { repository: "a/b", verbs: ["pull"] },
    { repository: "c", verbs: ["pull"] },
  ]);
  for (const name of ["*", "**", "a/*", "a/**", "", "A", "../a", "a//b"]) {
    assert.deepEqual(grantsOfAccess([entry(name)]), [], name);
  }
  assert.deepEqual(grantsOfAccess([entry("a", "registry"), entry("a", "Repository")]), []);
});

test("the list of repositories is for tokens that say so", () => {
  assert(includesCatalog(parseScopes(["repository:a:pull registry:catalog:*"])));
  for (const scope of [
    "registry:catalog:pull",
    "registry:catalog:",
    "repository:catalog:*",
    "registry:other:*",
  ]) {
    assert(!includesCatalog(parseScopes([scope])), scope);
  }
});
