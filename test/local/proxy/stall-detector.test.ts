import assert from "node:assert/strict";
import test from "node:test";
import { defaultLimits } from "../../../src/local/proxy/limits.ts";
import { StallDetector, type Wait } from "../../../src/local/proxy/stall-detector.ts";

/** The second, since its start, in which a pace is over that moves by so many bytes a second. */
function endOf(wait: Wait, bytesPerSecond: number, lastSecond = 1000): number | undefined {
  const pace = new StallDetector(defaultLimits);
  for (let second = 0; second <= lastSecond; second++) {
    if (pace.isOver(wait, 5_000_000 + second * 1000)) return second;
    pace.received += bytesPerSecond;
  }
  return undefined;
}

const cases: [what: string, wait: Wait, bytesPerSecond: number, end: number | undefined][] = [
  ["a body that stands still", "body", 0, 60],
  ["a body that trickles", "body", 1, 300],
  ["a body of a little less than 1 KiB a second", "body", 1023, 300],
  ["a body of 1 KiB a second", "body", 1024, undefined],
  ["a body that nobody wants, however it moves", "drain", 1_000_000, 30],
  ["an answer that is not taken", "answer", 0, 300],
  ["an answer that is taken slowly", "answer", 1, undefined],
  ["workerd", "workerd", 0, undefined],
];

for (const [what, wait, bytesPerSecond, end] of cases) {
  test(`${what} ends ${end === undefined ? "when it likes" : `after ${end} s`}`, () => {
    assert.equal(endOf(wait, bytesPerSecond), end);
  });
}

test("what workerd takes is not held against the client", () => {
  const pace = new StallDetector(defaultLimits);
  assert(!pace.isOver("body", 0));
  assert(!pace.isOver("workerd", 59_000));
  assert(!pace.isOver("body", 500_000));
  assert(!pace.isOver("body", 559_000));
  assert(pace.isOver("body", 560_000));
});
