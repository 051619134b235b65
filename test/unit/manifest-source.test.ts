import assert from "node:assert/strict";
import test from "node:test";
import { maxDepth, maxReferences, readSource } from "../../src/oci/manifest-source.ts";
import { content, digestOf } from "../support/content.ts";

const [a, b] = [digestOf(content()), digestOf(content(), "sha512")];
const size = 4 * 1024 * 1024;

/** Each letter of a text as an escape. */
const escaped = (text: string) =>
  Array.from(text, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

/** A text of 4 MiB that repeats a piece. */
const filled = (piece: string, start: string, end: string) => {
  const pieces = piece.repeat(Math.floor((size - start.length - end.length) / piece.length));
  return start + pieces.replace(/,$/, "") + end;
};

const naming: Record<string, string> = {
  "at the top": `{"digest":"${a}"}`,
  "as a blobSum": `{"blobSum":"${a}"}`,
  "in an array of arrays": `{"x":[[[{"digest":"${a}"}]]]}`,
  "in an array that is the whole": `[{"digest":"${a}"}]`,
  "in annotations": `{"annotations":{"digest":"${a}"}}`,
  "in an object without anything else that is right": `{"layers":{"0":{"digest":"${a}","size":-1,"mediaType":7}}}`,
  "in another case": `{"x":{"DiGeST":"${a}"}}`,
  "with a long s": `{"x":{"dige\u017ft":"${a}"},"blob\u017fum":"${b}"}`,
  "with an escaped long s": `{"x":{"dige\\u017ft":"${a}"},"blob\\u017Fum":"${b}"}`,
  "under a key that is escaped": `{"${escaped("digest")}":"${a}","d\\u0049gest":"${b}"}`,
  "with escapes in it": `{"digest":"${escaped(a)}"}`,
  "before another one of the same key": `{"digest":"${a}","digest":"${b}"}`,
  "after another value of the same key": `{"digest":7,"digest":"${a}"}`,
  "in a list under the key": `{"digest":["${a}",{"x":"${b}"}]}`,
  "after values of every kind": `{"x":[1,-2.5e3,true,false,null,"}",{"y":"\\"{"}],"z":{},"w":[],"digest":"${a}"}`,
  "between white space": `\n{ "digest"\t:\r\n "${a}" , "x" : [ { "digest" : "${b}" } ] }\n`,
};

for (const [where, text] of Object.entries(naming)) {
  test(`a digest is found ${where}`, () => {
    JSON.parse(text);
    const expected = [a, b].filter((digest) => text.includes(digest) || text.includes(escaped(digest)));
    assert.deepEqual(readSource(text, true).digests, expected);
  });
}

const notNaming: Record<string, string> = {
  "a key that is longer": `{"digests":"${a}","xdigest":"${a}","dig-est":"${a}","di\\nest":"${a}"}`,
  "a value": `{"x":"digest","y":"${a}"}`,
  "of another algorithm": `{"digest":"blake3:${"a".repeat(64)}"}`,
  "of upper case": `{"digest":"${a.toUpperCase()}"}`,
  "too short": `{"digest":"${a.slice(0, -1)}"}`,
  "in a text": `{"x":"{\\"digest\\":\\"${a}\\"}"}`,
  "in an object beside a key of that name": `{"digest":1,"x":"${a}"}`,
  "in an array beside it": `[{"digest":1},"${a}"]`,
};

for (const [what, text] of Object.entries(notNaming)) {
  test(`no digest is found where it is ${what}`, () => {
    JSON.parse(text);
    assert.deepEqual(readSource(text, true).digests, []);
  });
}

test("the digest of the subject is kept apart, and what else is in it is not", () => {
  const read = readSource(`{"subject":{"digest":"${a}","annotations":{"digest":"${b}"}}}`, true);
  assert.deepEqual([read.subjects, read.digests], [[a], [b]]);
  assert.deepEqual(readSource(`{"Subject":{"digest":"${a}"}}`, true).subjects, [a]);
  assert.deepEqual(readSource(`{"x":{"subject":{"digest":"${a}"}}}`, true).digests, [a]);
  assert.deepEqual(readSource(`{"subject":[{"digest":"${a}"}]}`, true).digests, [a]);
});

const schema1: Record<string, boolean> = {
  '{"schemaVersion":1,"fsLayers":[]}': true,
  '{"fsLayers":null,"schemaVersion":1}': true,
  '{"SchemaVersion":1,"F\u017fLayers":[]}': true,
  '{"schemaVersion":1.0,"fsLayers":[]}': true,
  '{"schemaVersion":1,"schemaVersion":2,"fsLayers":[]}': true,
  '{"schemaVersion":2,"fsLayers":[]}': false,
  '{"schemaVersion":1}': false,
  '{"x":{"schemaVersion":1,"fsLayers":[]}}': false,
};

for (const [text, expected] of Object.entries(schema1)) {
  test(`${text} is ${expected ? "" : "not "}taken for one of schema 1`, () => {
    assert.equal(readSource(text, true).isSchema1, expected);
  });
}

test("a manifest has bounds where it is pushed, and none where it is stored", () => {
  const references = (count: number) => `[${Array(count).fill(`{"digest":"${a}"}`)}]`;
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.equal(readSource(references(maxReferences), true).digests.length, maxReferences);
  assert.throws(() => readSource(references(maxReferences + 1), true), /more than 20000 references/);
  assert.equal(readSource(references(maxReferences + 1), false).digests.length, maxReferences + 1);
  readSource(nested(maxDepth), true);
  assert.throws(() => readSource(nested(maxDepth + 1), true), /nested deeper than 10000/);
  const deepest = `${"[".repeat(size / 2)}{"digest":"${a}"}${"]".repeat(size / 2)}`;
  assert.deepEqual(readSource(deepest, false).digests, [a]);
});

const worst: Record<string, string> = {
  "small arrays": filled("[],", '{"a":[', "]}"),
  "small objects": filled("{},", '{"a":[', "]}"),
  "short keys": filled('"a":0,', "{", "}"),
  "known keys": filled('"digest":0,', "{", "}"),
  "keys that are known but for the last letter": filled('"schemaversionn":0,"artifactTypo":0,', "{", "}"),
  "escaped keys": filled('"\\u0073chemaversio\\u006e":0,', "{", "}"),
  "descriptors of one letter": filled('{"digest":"a:b","size":1,"mediaType":"a"},', '{"layers":[', "]}"),
  "strings that may be digests": filled(`"digest":"${"\\u0061".repeat(11)}",`, "{", "}"),
  "wrong sizes": filled('{"size":1e5},', '{"layers":[', "]}"),
  "a long string": filled("x", '{"a":"', '"}'),
  "a long string of escapes": filled("\\n", '{"a":"', '"}'),
  "a long number": filled("1", '{"schemaVersion":', "}"),
  "white space": filled(" ", "{", "}"),
  "opening brackets": "[".repeat(size),
  "a key that does not end": filled("\\u0061", '{"', ""),
};

/** How long the thread works on something, in microseconds of processor time. */
function microseconds(work: () => void): number {
  const begun = process.threadCpuUsage();
  work();
  return process.threadCpuUsage(begun).user;
}

/** Looking at each character of 4 MiB takes some 4 ms, and reading a manifest of that size some 40. */
const yardstick = "x".repeat(size);
const mostTimes = 12;

/** Other programs are in the way of some tries: the first that is short enough shows what it takes. */
const mostTries = 9;

let sum = 0;
function lookAtEach(): void {
  for (let at = 0; at < yardstick.length; at++) sum += yardstick.charCodeAt(at);
}

for (const [what, text] of Object.entries(worst)) {
  test(`to read a manifest of 4 MiB of ${what} takes at most ${mostTimes} times what looking at each character does`, () => {
    const tries: string[] = [];
    do {
      // In turns, so that a machine that is slow for a while is so for both.
      const bound = mostTimes * microseconds(lookAtEach);
      const reading = microseconds(() => {
        try {
          readSource(text, true);
        } catch {
          // More than a manifest may have.
        }
      });
      if (sum > 0 && reading < bound) return;
      tries.push(`${reading} µs, where ${bound} are allowed`);
    } while (tries.length < mostTries);
    assert.fail(tries.join("; "));
  });
}
