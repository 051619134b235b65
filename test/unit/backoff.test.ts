import assert from "node:assert/strict";
import test from "node:test";
import { maxAttempts, waitMs } from "../../src/objects/webhook-queue/send.ts";

test("waits double from a second to an hour, and add up to a day", () => {
  const waits = Array.from({ length: maxAttempts }, (_, index) => waitMs(index + 1));
  assert.deepEqual(waits.slice(0, 4), [1000, 2000, 4000, 8000]);
  assert.deepEqual(waits.slice(11, 14), [2_048_000, 3_600_000, 3_600_000]);
  assert.equal(waits.at(-1), undefined);
  const sum = waits.reduce<number>((total, wait = 0) => total + wait, 0);
  assert(sum >= 24 * 3_600_000 && sum < 25 * 3_600_000, String(sum));
});
