import assert from "node:assert/strict";
import test from "node:test";
import { mapAtOnce } from "../../src/cli/at-once.ts";

test("a few are done at a time, and the results are in order", async () => {
  let [underWay, most] = [0, 0];
  const doubled = await mapAtOnce([1, 2, 3, 4, 5, 6, 7], 3, async (number) => {
    most = Math.max(most, ++underWay);
    for (let turn = number; turn < 8; turn++) await Promise.resolve();
    underWay--;
    return number * 2;
  });
  assert.deepEqual([doubled, most], [[2, 4, 6, 8, 10, 12, 14], 3]);
  assert.deepEqual(await mapAtOnce([], 3, async () => 1), []);
});

test("after a failure no other is begun, and it is thrown once those under way have ended", async () => {
  const begun: number[] = [];
  const { promise: hasFailed, resolve } = Promise.withResolvers<void>();
  let hasEnded = false;
  const all = mapAtOnce([1, 2, 3, 4, 5], 2, async (number) => {
    begun.push(number);
    if (number === 1) {
      resolve();
      throw new Error("refused");
    }
    await hasFailed;
    await new Promise(setImmediate);
    hasEnded = true;
  });
  await assert.rejects(all, /^Error: refused$/);
  assert.deepEqual([begun, hasEnded], [[1, 2], true]);
});
