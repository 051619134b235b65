/** Which holder of a digest a caller may mount it from. */
import assert from "node:assert/strict";
import test from "node:test";
import { findMountSource } from "../../src/objects/blob-shard/holders.ts";
import { ShardStore } from "../../src/objects/blob-shard/store.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { Digest, RepositoryName } from "../../src/oci/reference.ts";
import { unknownDigest } from "../support/content.ts";
import { memoryStorage } from "../support/sqlite.ts";

const digest = unknownDigest() as Digest;
const target = "target/app" as RepositoryName;

function heldBy(names: string[]): ShardStore {
  const storage = memoryStorage();
  const store = new ShardStore(storage);
  transaction(storage, (tx) => {
    store.create(tx);
    for (const name of names)
      store.hold(tx, digest, name, { leasedUntil: 1, askAt: name.includes("left") ? 5 : null }, 1);
  });
  return store;
}

const many = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, "0")}`);

const cases: [what: string, holders: string[], patternSets: string[][], found: string | undefined][] = [
  ["the first that matches", ["a/one", "b/one", "b/two"], [["b/*"]], "b/one"],
  ["none that does not match", ["a/one", "b/one"], [["c/*"]], undefined],
  ["none without patterns", ["a/one"], [[]], undefined],
  ["none without sets of patterns", ["a/one"], [], undefined],
  ["one that matches each set", ["a/one", "a/two"], [["a/*"], ["a/two"]], "a/two"],
  ["none that matches only one set", ["a/one"], [["a/*"], ["b/*"]], undefined],
  ["one that is named, and not what begins like it", ["team/app", "team/app2"], [["team/app"]], "team/app"],
  ["one behind any number of others", [...many("a/", 5000), "b/one"], [["b/*"]], "b/one"],
  ["one of the second pattern", [...many("a/", 10), "b/one"], [["a/x", "b/*"]], "b/one"],
  ["none behind a thousand that begin alike", [...many("a/", 1000), "a/z/app"], [["a/*/app"]], undefined],
  ["one among a thousand that begin alike", [...many("a/", 999), "a/z/app"], [["a/*/app"]], "a/z/app"],
  ["the target if it is the only one", ["target/app"], [["target/*"]], "target/app"],
  ["another than the target", ["target/app", "target/b"], [["**"]], "target/b"],
  ["one that has not reported that it may have left", ["a/left", "a/one"], [["a/*"]], "a/one"],
  ["one that may have left if there is no other", ["a/left"], [["a/*"]], "a/left"],
  ["one by a pattern with a class", ["a/one", "b/app"], [["[bc]/app"]], "b/app"],
  ["one by a pattern with a question mark", ["a/one", "b/app1"], [["b/app?"]], "b/app1"],
  ["one by a pattern that begins with anything", ["a/one", "b/app"], [["*/app"]], "b/app"],
];

for (const [what, holders, patternSets, found] of cases) {
  test(`a mount finds ${what}`, () => {
    assert.equal(findMountSource(heldBy(holders), digest, patternSets, target, 10), found);
  });
}
