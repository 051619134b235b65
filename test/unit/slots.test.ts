import assert from "node:assert/strict";
import test from "node:test";
import { type Slot, Slots } from "../../src/edge/auth/login-throttle.ts";

const everyMs = 50;

/** Sixteen slots, and a clock that waiting moves. */
function makeSlots() {
  let now = 1_000_000;
  const clock = { now: () => now };
  const waits: number[] = [];
  const slots = new Slots(clock, { most: 16, everyMs }, async (ms) => {
    waits.push(ms);
  });
  const take = (network?: string) => slots.acquire(network);
  const takeAll = (count: number, network?: string) =>
    Array.from({ length: count }, () => take(network)).filter((slot) => slot !== undefined);
  return { take, takeAll, waits, advance: (ms: number) => (now += ms) };
}

function releaseAll(slots: Slot[]): void {
  for (const slot of slots) slot.release();
}

test("one network has at most a quarter of the slots, and others have theirs", () => {
  const { takeAll } = makeSlots();
  assert.equal(takeAll(20, "192.0.2.1").length, 4);
  assert.equal(takeAll(20, "192.0.2.2").length, 4);
});

test("all networks together, and callers without one, have no more slots than there are", () => {
  const { take, takeAll } = makeSlots();
  assert.equal(takeAll(10).length, 10);
  assert.equal(takeAll(4, "192.0.2.1").length, 4);
  assert.equal(takeAll(20).length, 2);
  assert.equal(take("192.0.2.2"), undefined);
});

test("a slot that is released is free once, however often it is released", () => {
  const { takeAll } = makeSlots();
  const taken = takeAll(16);
  const [first] = taken;
  first?.release();
  first?.release();
  assert.equal(takeAll(16).length, 1);
  releaseAll(taken);
  assert.equal(takeAll(20).length, 15);
});

test("a slot that nobody releases is free after ten seconds", () => {
  const { takeAll, advance } = makeSlots();
  takeAll(16);
  advance(9_999);
  assert.equal(takeAll(16).length, 0);
  advance(1);
  assert.equal(takeAll(16).length, 16);
});

test("starts are spaced, and the first is at once", async () => {
  const { takeAll, waits, advance } = makeSlots();
  const taken = takeAll(4);
  for (const slot of taken) await slot.start();
  assert.deepEqual(waits, [everyMs, 2 * everyMs, 3 * everyMs]);
  releaseAll(taken);
  advance(10 * everyMs);
  for (const slot of takeAll(1)) await slot.start();
  assert.equal(waits.length, 3, "who comes later does not wait for those before");
});

test("a clock that was put back keeps nobody waiting for long", async () => {
  const { take, waits, advance } = makeSlots();
  for (let start = 0; start < 3; start++) await take()?.start();
  advance(-3_600_000);
  await take()?.start();
  assert.equal(waits.at(-1), 16 * everyMs);
  advance(16 * everyMs);
  await take()?.start();
  assert.equal(waits.at(-1), everyMs);
});
