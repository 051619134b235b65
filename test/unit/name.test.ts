import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseRepositoryName, parseTag } from "../../src/oci/reference.ts";

const names = [
  "a",
  "0",
  "library/ubuntu",
  "a/b/c/d/e",
  "a.b",
  "a_b",
  "a__b",
  "a-b",
  "a---b",
  "a-b.c_d__e/f",
  "a".repeat(255),
  `${"a/".repeat(127)}a`,
];

const notNames = [
  "",
  "A",
  "a/",
  "/a",
  "a//b",
  ".a",
  "a.",
  "a..b",
  "a___b",
  "_a",
  "a_",
  "-a",
  "a-",
  "a._b",
  "a-_b",
  ".",
  "..",
  "a/../b",
  "a/./b",
  "a b",
  "a%2fb",
  "a%2Fb",
  "a\\b",
  "a:b",
  "a@b",
  "a?b",
  "a\0",
  "a\n",
  "ä",
  "а", // Cyrillic
  "a\u200bb",
  "a".repeat(256),
];

test("repository names are those of the grammar, of at most 255 characters", () => {
  for (const name of names) assert.equal(parseRepositoryName(name), name);
  for (const name of notNames) assert.equal(parseRepositoryName(name), undefined, JSON.stringify(name));
});

test("names made by the grammar are names", () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,5}$/);
  const separator = fc.constantFrom(".", "_", "__", "-", "--", "/");
  fc.assert(
    fc.property(word, fc.array(fc.tuple(separator, word), { maxLength: 15 }), (first, rest) => {
      const name = first + rest.map(([before, after]) => before + after).join("");
      assert.equal(parseRepositoryName(name), name);
    }),
  );
});

test("a long text that is nearly a name is refused at once", () => {
  const startedAt = performance.now();
  for (const unit of ["a-", "a_", "a.", "a/", "-", "a--"])
    parseRepositoryName(`${unit.repeat(127).slice(0, 254)}!`);
  // One that tries all ways to read it takes years: the bound is wide, and still tells them apart.
  assert(performance.now() - startedAt < 5000);
});

test("tags are those of the grammar, of at most 128 characters", () => {
  for (const tag of ["latest", "1.2.3", "_", "A", "v1.0_rc-1", "a.", "a-", "a".repeat(128)]) {
    assert.equal(parseTag(tag), tag);
  }
  for (const tag of ["", ".a", "-a", "a/b", "a:b", "a b", "a+b", "..", "ä", "a\0", "a\n", "a".repeat(129)]) {
    assert.equal(parseTag(tag), undefined, JSON.stringify(tag));
  }
});
