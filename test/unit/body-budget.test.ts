import assert from "node:assert/strict";
import test from "node:test";
import { BodyBudget } from "../../src/edge/body.ts";

const mebibyte = 1024 * 1024;

/** A budget whose waits move its clock. `onWait` is called at each. */
function budgetOf(onWait = () => {}) {
  const clock = { time: 1_000_000, now: () => clock.time };
  const budget = new BodyBudget(clock, async (ms) => {
    clock.time += ms;
    onWait();
  });
  return { budget, clock };
}

test("bodies get room until the budget is used up, and then wait until some is given back", async () => {
  const releases: ((() => void) | undefined)[] = [];
  let waits = 0;
  const { budget } = budgetOf(() => {
    waits++;
    if (waits === 3) releases[0]?.();
  });
  for (let i = 0; i < 6; i++) releases.push(await budget.reserve(4 * mebibyte));
  assert.equal(waits, 0);
  assert(await budget.reserve(4 * mebibyte));
  assert.equal(waits, 3);
});

test("who waits too long is told so; room that was given back twice counts once", async () => {
  const { budget, clock } = budgetOf();
  const release = await budget.reserve(24 * mebibyte);
  const began = clock.time;
  assert.equal(await budget.reserve(1), undefined);
  assert.equal(clock.time - began, 10_000);
  release?.();
  release?.();
  assert(await budget.reserve(24 * mebibyte));
  assert.equal(await budget.reserve(1), undefined);
});

test("room of requests that were lost is given to others", async () => {
  const { budget, clock } = budgetOf();
  await budget.reserve(24 * mebibyte);
  clock.time += 60_000;
  assert(await budget.reserve(24 * mebibyte));
});
