import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  parseContentLength,
  parseContentRange,
  parseRange,
  type RangeRequest,
  uploadRange,
} from "../../src/oci/http.ts";

const ranges: [header: string | null, sizeBytes: number, expected: RangeRequest][] = [
  [null, 10, "whole"],
  ["bytes=0-0", 10, { offset: 0, length: 1 }],
  ["bytes=0-9", 10, { offset: 0, length: 10 }],
  ["bytes=3-5", 10, { offset: 3, length: 3 }],
  ["bytes=3-", 10, { offset: 3, length: 7 }],
  ["bytes=9-100", 10, { offset: 9, length: 1 }],
  ["bytes=-3", 10, { offset: 7, length: 3 }],
  ["bytes=-100", 10, { offset: 0, length: 10 }],
  ["Bytes= 3-5 ", 10, { offset: 3, length: 3 }],
  ["bytes=10-", 10, "unsatisfiable"],
  ["bytes=10-20", 10, "unsatisfiable"],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=5-3", 10, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=-1", 0, "unsatisfiable"],
  ["bytes=0-1,3-4", 10, "whole"],
  ["bytes=-", 10, "whole"],
  ["bytes=a-b", 10, "whole"],
  ["items=0-1", 10, "whole"],
  ["0-1", 10, "whole"],
  ["bytes=9999999999999999-", 10, "whole"],
];

test("a Range header asks for one range, for all, or for nothing that is there", () => {
  for (const [header, size, expected] of ranges)
    assert.deepEqual(parseRange(header, size), expected, String(header));
});

test("a satisfiable range lies within the content", () => {
  const text = fc.stringMatching(/^bytes=\d{0,4}-\d{0,4}$/);
  fc.assert(
    fc.property(text, fc.nat(2000), (header, size) => {
      const range = parseRange(header, size);
      if (typeof range === "string") return;
      assert(range.length > 0 && range.offset >= 0 && range.offset + range.length <= size);
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
