import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  algorithmOf,
  digestOf,
  hexOf,
  isDigestAlgorithm,
  isDigestOfNothing,
  isWellFormedDigest,
  parseAnyDigest,
  parseDigest,
} from "../../src/oci/reference.ts";
import { digestOf as digestOfBytes } from "../support/content.ts";

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });

test("every hash of a supported algorithm makes a digest that parses to itself", () => {
  const digests = fc.oneof(
    fc.tuple(fc.constant("sha256" as const), hex(64)),
    fc.tuple(fc.constant("sha512" as const), hex(128)),
  );
  fc.assert(
    fc.property(digests, ([algorithm, hash]) => {
      const digest = digestOf(algorithm, hash);
      assert.equal(parseDigest(digest), digest);
      assert.equal(algorithmOf(digest), algorithm);
      assert.equal(hexOf(digest), hash);
      assert(isWellFormedDigest(digest));
    }),
  );
});

const a64 = "a".repeat(64);

const refused: [text: string, isWellFormed: boolean][] = [
  ["", false],
  ["sha256", false],
  ["sha256:", false],
  [`:${a64}`, false],
  [a64, false],
  [`sha256:${"a".repeat(63)}`, true],
  [`sha256:${"a".repeat(65)}`, true],
  [`sha512:${a64}`, true],
  [`sha256:${"A".repeat(64)}`, true],
  [`sha256:${"g".repeat(64)}`, true],
  [`SHA256:${a64}`, false],
  [`sha256:${a64}\n`, false],
  [` sha256:${a64}`, false],
  [`sha256:${"a".repeat(63)}é`, false],
  [`sha256:${"a".repeat(63)}\0`, false],
  [`sha384:${"a".repeat(96)}`, true],
  [`md5:${"a".repeat(32)}`, true],
  [`constructor:${a64}`, true],
  [`__proto__:${a64}`, false],
  ["test+algorithm.x:alsoSome=Text_-", true],
  [`sha256:${"a".repeat(600)}`, false],
];

test("what is not the canonical form of a supported algorithm is no digest, though it may be well-formed", () => {
  for (const [text, isWellFormed] of refused) {
    assert.equal(parseDigest(text), undefined, text);
    assert.equal(isWellFormedDigest(text), isWellFormed, text);
  }
});

test("a digest of an unknown algorithm is one in the grammar, and of a known one what this asks for", () => {
  const known = digestOfBytes(new Uint8Array());
  for (const text of [
    `sha384:${"a".repeat(96)}`,
    `blake3:${a64}`,
    "test+algorithm.x:alsoSome=Text_-",
    known,
  ]) {
    assert.equal(parseAnyDigest(text), text);
  }
  for (const text of [
    "",
    "sha256",
    "latest",
    `sha256:${"A".repeat(64)}`,
    `sha512:${a64}`,
    `x:${"a".repeat(600)}`,
  ]) {
    assert.equal(parseAnyDigest(text), undefined, text);
  }
});

test("whatever parses is exactly what was parsed", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => [undefined, text].includes(parseDigest(text))),
  );
});

test("an algorithm is one by its own name only", () => {
  assert(isDigestAlgorithm("sha256") && isDigestAlgorithm("sha512"));
  for (const text of ["", "sha384", "SHA256", "toString", "__proto__"])
    assert(!isDigestAlgorithm(text), text);
});

test("the digest of nothing is known for each algorithm", () => {
  for (const algorithm of ["sha256", "sha512"] as const) {
    const nothing = parseDigest(digestOfBytes(new Uint8Array(), algorithm));
    const something = parseDigest(digestOfBytes(new Uint8Array(1), algorithm));
    assert(nothing !== undefined && isDigestOfNothing(nothing));
    assert(something !== undefined && !isDigestOfNothing(something));
  }
});
