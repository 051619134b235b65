/** Who waits for a blob that they were told of, and how long it is kept for them. */
import assert from "node:assert/strict";
import test from "node:test";
import { Promises } from "../../src/objects/ledger/promises.ts";

const startMs = 1_700_000_000_000;
const openMs = 300_000;
const leastMs = 60_000;
/** What the ledger has written down of a blob. */
const known = startMs - 1;

/** Promises that were made of a blob at these times, so many of which were answered. */
function promisesOf(madeAt: number[], answered: number): Promises {
  const clock = { nowMs: 0, now: () => clock.nowMs };
  const promises = new Promises(clock, { openMs, leastMs });
  for (const at of madeAt) {
    clock.nowMs = startMs + at;
    promises.make("blob");
  }
  for (let count = 0; count < answered; count++) promises.keep(["blob", "another"]);
  return promises;
}

const cases: Record<string, { madeAt: number[]; answered: number; keptUntil: number }> = {
  "one that no manifest has answered counts to its end": {
    madeAt: [1000],
    answered: 0,
    keptUntil: startMs + 1000 + openMs,
  },
  "of several the last counts that is open": {
    madeAt: [1000, 2000],
    answered: 1,
    keptUntil: startMs + 2000 + openMs,
  },
  "one that was answered counts for a while from when it was made": {
    madeAt: [1000, 2000],
    answered: 2,
    keptUntil: startMs + 2000 + leastMs,
  },
  "more answers than promises change nothing": {
    madeAt: [1000],
    answered: 3,
    keptUntil: startMs + 1000 + leastMs,
  },
  "where there is none, what was written down counts": {
    madeAt: [],
    answered: 1,
    keptUntil: known + openMs,
  },
};

for (const [name, { madeAt, answered, keptUntil }] of Object.entries(cases)) {
  test(name, () => {
    assert.equal(promisesOf(madeAt, answered).lastOf("blob", known) + openMs, keptUntil);
  });
}

test("of more blobs than are remembered, what was written down counts", () => {
  const promises = promisesOf([1000], 0);
  for (let number = 0; number < 10_000; number++) promises.make(`blob ${number}`);
  assert.equal(promises.lastOf("blob", known), known);
});
