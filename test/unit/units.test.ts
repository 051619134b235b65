import assert from "node:assert/strict";
import test from "node:test";
import {
  day,
  formatDuration,
  formatSize,
  gibibyte,
  hour,
  parseDuration,
  parseSize,
} from "../../src/units.ts";

const durations: [text: string, milliseconds: number | undefined][] = [
  ["0s", 0],
  ["250ms", 250],
  ["90s", 90_000],
  ["15m", 900_000],
  ["24h", 24 * hour],
  ["7d", 7 * day],
  ["", undefined],
  ["90", undefined],
  ["s", undefined],
  ["1.5h", undefined],
  ["-1s", undefined],
  ["1 s", undefined],
  ["1S", undefined],
  ["1w", undefined],
  ["999999999999d", undefined],
];

test("a duration is a whole number and its unit", () => {
  for (const [text, expected] of durations) assert.equal(parseDuration(text), expected, text);
});

const sizes: [text: string, bytes: number | undefined][] = [
  ["0", 0],
  ["5242880", 5_242_880],
  ["512KiB", 524_288],
  ["1GiB", gibibyte],
  ["50MB", 50_000_000],
  ["1gib", undefined],
  ["1B", undefined],
  ["KiB", undefined],
  ["999999999999GiB", undefined],
];

test("a size is a whole number of bytes, or of thousands or 1,024s of them", () => {
  for (const [text, expected] of sizes) assert.equal(parseSize(text), expected, text);
});

test("amounts are written in the largest unit of which they are whole", () => {
  assert.deepEqual([0, 250, 90_000, 36 * hour, 7 * day].map(formatDuration), [
    "0ms",
    "250ms",
    "90s",
    "36h",
    "7d",
  ]);
  assert.deepEqual([0, 1000, 1024, 5 * 1024 ** 2, gibibyte].map(formatSize), [
    "0",
    "1KB",
    "1KiB",
    "5MiB",
    "1GiB",
  ]);
});
