import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  exampleOf,
  isPattern,
  isTagPattern,
  matchesPattern,
  matchesTagPattern,
} from "../../src/oci/pattern.ts";

const examples: [pattern: string, example: string][] = [
  ["*", "app"],
  ["**", "app"],
  ["*/*", "team/app"],
  ["team/**", "team/app"],
  ["v[0-9]*", "v1"],
  ["pr-*", "pr-1"],
  ["release*", "release"],
  ["?.?.?", "1.1.1"],
  ["*-[a-c]", "1-a"],
];

for (const [pattern, example] of examples) {
  test(`an example of ${pattern} is ${example}`, () => assert.equal(exampleOf(pattern), example));
}

test("a pattern matches its example", () => {
  const piece = fc.constantFrom("a", "v", "1", "-", ".", "*", "?", "[0-9]", "[a-z]", "[b._]");
  const segment = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
  const pattern = fc.array(fc.oneof(segment, fc.constant("**")), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(pattern, (segments) => {
      const name = segments.join("/");
      fc.pre(isPattern(name));
      assert(matchesPattern(name, exampleOf(name)), exampleOf(name));
      const [tag = ""] = segments;
      if (isTagPattern(tag)) assert(matchesTagPattern(tag, exampleOf(tag)), exampleOf(tag));
    }),
  );
});
