import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseContentLength, parseContentRange, parseRange, uploadRange } from "../../src/oci/http.ts";

/** The offset and length of each range. */
type Expected = "whole" | "unsatisfiable" | [offset: number, length: number][];

const manySpecs = (count: number) => Array.from({ length: count }, (_, index) => `${2 * index}-${2 * index}`);

const ranges: [header: string | null, sizeBytes: number, expected: Expected][] = [
  [null, 10, "whole"],
  ["bytes=0-0", 10, [[0, 1]]],
  ["bytes=0-9", 10, [[0, 10]]],
  ["bytes=3-5", 10, [[3, 3]]],
  ["bytes=3-", 10, [[3, 7]]],
  ["bytes=9-100", 10, [[9, 1]]],
  ["bytes=-3", 10, [[7, 3]]],
  ["bytes=-100", 10, [[0, 10]]],
  ["Bytes= 3-5 ", 10, [[3, 3]]],
  // A position may have any number of digits.
  ["bytes=5-9223372036854775807", 10, [[5, 5]]],
  [`bytes=5-${"9".repeat(400)}`, 10, [[5, 5]]],
  [`bytes=-${"9".repeat(400)}`, 10, [[0, 10]]],
  ["bytes=0000000000000000003-0000000000000000005", 10, [[3, 3]]],
  ["bytes=10-", 10, "unsatisfiable"],
  ["bytes=10-20", 10, "unsatisfiable"],
  ["bytes=9999999999999999-", 10, "unsatisfiable"],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=5-3", 10, "unsatisfiable"],
  // There is no range of nothing, and nobody is better off with an error.
  ["bytes=0-", 0, "whole"],
  ["bytes=-1", 0, "whole"],
  ["bytes=5-9", 0, "whole"],
  ["bytes=-", 10, "whole"],
  ["bytes=", 10, "whole"],
  ["bytes=,", 10, "whole"],
  ["bytes=a-b", 10, "whole"],
  ["bytes=1 - 2", 10, "whole"],
  ["bytes=+1-2", 10, "whole"],
  ["items=0-1", 10, "whole"],
  ["0-1", 10, "whole"],
  // Several, in the order asked.
  [
    "bytes=0-1,3-4",
    10,
    [
      [0, 2],
      [3, 2],
    ],
  ],
  ["bytes=8-,0-1 , -4", 10, "whole"],
  [
    "bytes=-2\t, 0-1,,5-5",
    10,
    [
      [8, 2],
      [0, 2],
      [5, 1],
    ],
  ],
  [
    "bytes=0-4,5-9",
    10,
    [
      [0, 5],
      [5, 5],
    ],
  ],
  ["bytes=0-0,20-30", 10, [[0, 1]]],
  ["bytes=20-30,40-50", 10, "unsatisfiable"],
  ["bytes=0-1,5-3", 10, "unsatisfiable"],
  ["bytes=0-1,x", 10, "whole"],
  ["bytes=0-3,3-5", 10, "whole"],
  ["bytes=5-6,0-9", 10, "whole"],
  ["bytes=2-3,2-3", 10, "whole"],
  [`bytes=${manySpecs(1024)}`, 10_000, manySpecs(1024).map((_, index) => [2 * index, 1])],
  [`bytes=${manySpecs(1025)}`, 10_000, "whole"],
];

test("a Range header asks for ranges, for all, or for nothing that is there", () => {
  for (const [header, size, expected] of ranges) {
    const asked = parseRange(header, size);
    const found = typeof asked === "string" ? asked : asked.map(({ offset, length }) => [offset, length]);
    assert.deepEqual(found, expected, String(header).slice(0, 60));
  }
});

test("satisfiable ranges lie within the content, and do not overlap", () => {
  const text = fc.stringMatching(/^bytes=\d{0,4}-\d{0,4}(,\d{0,4}-\d{0,4}){0,5}$/);
  fc.assert(
    fc.property(text, fc.nat(20_000), (header, size) => {
      const asked = parseRange(header, size);
      if (typeof asked === "string") return;
      const taken = asked.toSorted((a, b) => a.offset - b.offset);
      let end = 0;
      for (const { offset, length } of taken) {
        assert(length > 0 && offset >= end);
        end = offset + length;
      }
      assert(end <= size);
    }),
  );
});

const contentRanges: [header: string, expected: ReturnType<typeof parseContentRange>][] = [
  ["0-0", { offset: 0, length: 1 }],
  ["0-9", { offset: 0, length: 10 }],
  ["10-19", { offset: 10, length: 10 }],
  ["bytes 10-19/*", { offset: 10, length: 10 }],
  ["bytes 10-19/100", { offset: 10, length: 10 }],
  ["", undefined],
  ["5-3", undefined],
  ["-3", undefined],
  ["3-", undefined],
  ["a-b", undefined],
  ["0-1,2-3", undefined],
  ["bytes=0-1", undefined],
  ["bytes */10", undefined],
  ["0x0-0x9", undefined],
  ["0-9999999999999999", undefined],
];

test("a chunk says where it begins and ends", () => {
  for (const [header, expected] of contentRanges)
    assert.deepEqual(parseContentRange(header), expected, header);
});

test("an upload's range ends at its last byte; an empty one has the range of one byte", () => {
  assert.deepEqual([0, 1, 2, 100].map(uploadRange), ["0-0", "0-0", "0-1", "0-99"]);
});

test("a Content-Length is a whole number", () => {
  assert.equal(parseContentLength("0"), 0);
  assert.equal(parseContentLength("12345678901"), 12_345_678_901);
  for (const text of [null, "", "-1", "1.5", "1e3", " 1", "0x1", "1,1"]) {
    assert.equal(parseContentLength(text), undefined, String(text));
  }
});
