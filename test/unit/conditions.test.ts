import assert from "node:assert/strict";
import test from "node:test";
import { conditionOf, entityTag, isNoneMatchSatisfiedBy, isRangeApplicable } from "../../src/oci/http.ts";

const tag = entityTag("sha256:abc");

const noneMatch: [header: string | null, isSatisfied: boolean][] = [
  [null, false],
  ["", false],
  ["*", true],
  [" * ", true],
  ["*, ", true],
  ['*, "x"', false],
  [`, ${tag}`, true],
  [tag, true],
  [`W/${tag}`, true],
  [`"x", ${tag}`, true],
  [`"x",W/${tag},"y"`, true],
  ["sha256:abc", false],
  ['"sha256:abcd"', false],
  ['"x", "y"', false],
];

test("If-None-Match names what the client has, compared weakly", () => {
  for (const [header, isSatisfied] of noneMatch) {
    assert.equal(isNoneMatchSatisfiedBy(header, tag), isSatisfied, String(header));
  }
});

const conditions: [ifMatch: string | null, ifNoneMatch: string | null, condition: string][] = [
  [null, null, "send"],
  [null, tag, "not modified"],
  ["*", null, "send"],
  [tag, null, "send"],
  [`"x", ${tag}`, null, "send"],
  [`W/${tag}`, null, "failed"],
  ['"x"', null, "failed"],
  ["", null, "failed"],
  ["sha256:abc", null, "failed"],
  ['"x"', tag, "failed"],
  [tag, tag, "not modified"],
];

test("If-Match names what the client wants, compared strongly, and comes first", () => {
  for (const [ifMatch, ifNoneMatch, condition] of conditions) {
    const values: Record<string, string | null> = { "If-Match": ifMatch, "If-None-Match": ifNoneMatch };
    const headers = { get: (name: string) => values[name] ?? null };
    assert.equal(conditionOf(headers, tag), condition, JSON.stringify(values));
  }
});

const ifRange: [header: string | null, isApplicable: boolean][] = [
  [null, true],
  [tag, true],
  [`W/${tag}`, false],
  ['"x"', false],
  ["Wed, 21 Oct 2015 07:28:00 GMT", false],
];

test("a range counts only for the same bytes", () => {
  for (const [header, isApplicable] of ifRange)
    assert.equal(isRangeApplicable(header, tag), isApplicable, String(header));
});
