import assert from "node:assert/strict";
import test from "node:test";
import { compareVersions, parseVersion, sortByVersion } from "../../src/oci/tag-version.ts";

const families: [tag: string, family: string, isPreRelease: boolean, isAlias: boolean][] = [
  ["1.2.3", "", false, false],
  ["v1.2.3", "", false, false],
  ["1.2.3.4", "", false, false],
  ["2026.11.29", "", false, false],
  ["1", "", false, true],
  ["v1.2", "", false, true],
  ["1.2.3-alpha", "", true, false],
  ["1.2.3-beta.2", "", true, false],
  ["1.2.3-rc1", "", true, false],
  ["1.2.3rc1", "", true, false],
  ["1.2.3-RC.1", "", true, false],
  ["1.2.3-preview3", "", true, false],
  ["1.2.3-pre", "", true, false],
  ["1.2.3-dev.20260101", "", true, false],
  ["1.2.3-SNAPSHOT", "", true, false],
  ["1.2.3-nightly", "", true, false],
  ["1.2.3-20260101", "", true, false],
  ["1.2.3-alpine", "alpine", false, false],
  ["1.2.3-alpine3.19", "alpine", false, false],
  ["1.2.3_Alpine", "alpine", false, false],
  ["1.2-alpine3.19", "alpine", false, true],
  ["1.2.3-slim-bookworm", "slim-bookworm", false, false],
];
for (const [tag, family, isPreRelease, isAlias] of families) {
  test(`the version ${tag}`, () => {
    const version = parseVersion(tag);
    assert.equal(version?.family, family);
    assert.equal(version.preRelease.length > 0, isPreRelease);
    assert.equal(version.isAlias, isAlias);
  });
}

test("a tag that begins with no number, or is a hash, is no version", () => {
  for (const tag of ["latest", "v", "vv1.2.3", "alpine3.19", "3fa9c2e", "1.2.3.", "pr-1.2.3", "_1.2.3"]) {
    assert.equal(parseVersion(tag), undefined, tag);
  }
});

test("versions are ordered as semver orders them", () => {
  const ordered = [
    "0.9.10",
    "1.0.0-1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc1",
    "1.0.0-rc9",
    "1.0.0-rc10",
    "v1.0.0",
    "1.0.1",
    "1.2",
    "1.2.0",
    "1.10.0",
    "1.10.0.1",
    "2026.1.1",
    "99999999999999999998.0.0",
    "99999999999999999999.0.0",
  ];
  for (const [place, tag] of ordered.entries()) {
    for (const [otherPlace, other] of ordered.entries()) {
      const [one, another] = [parseVersion(tag), parseVersion(other)];
      assert(one !== undefined && another !== undefined);
      assert.equal(
        Math.sign(compareVersions(one, another)),
        Math.sign(place - otherPlace),
        `${tag} ${other}`,
      );
    }
  }
});

test("versions that differ in their writing alone are equal", () => {
  for (const [one, other] of [
    ["1.2.3", "v1.2.3"],
    ["1.2.3-rc1", "1.2.3-RC.1"],
    ["01.2.3", "1.2.3"],
  ]) {
    const [a, b] = [parseVersion(one ?? ""), parseVersion(other ?? "")];
    assert(a !== undefined && b !== undefined);
    assert.equal(compareVersions(a, b), 0);
  }
});

test("a list of tags begins with the newest version, and an alias stands behind what it stands for", () => {
  const sorted = [
    "2.0.0-rc1",
    "1.10.0",
    "1.10.0-alpine3.20",
    "1.10.0-alpine3.9",
    "1.10.0-slim",
    "1.10.0-rc10",
    "1.10.0-rc9",
    "1.10",
    "v1.9.1",
    "1.9.1",
    "1.9",
    "1",
    "1-alpine",
    "99.0.0.",
    "latest",
    "main",
  ];
  assert.deepEqual(sortByVersion(sorted.toReversed()), sorted);
  assert.deepEqual(sortByVersion(sorted.toSorted()), sorted);
});
