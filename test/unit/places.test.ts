import assert from "node:assert/strict";
import test from "node:test";
import { type Place, Places } from "../../src/edge/auth/places.ts";

const everyMs = 50;

/** Sixteen places, and a clock that waiting moves. */
function makePlaces() {
  let now = 1_000_000;
  const clock = { now: () => now };
  const waits: number[] = [];
  const places = new Places(clock, { most: 16, everyMs }, async (ms) => {
    waits.push(ms);
  });
  const take = (network?: string) => places.take(network);
  const takeAll = (count: number, network?: string) =>
    Array.from({ length: count }, () => take(network)).filter((place) => place !== undefined);
  return { take, takeAll, waits, advance: (ms: number) => (now += ms) };
}

function leaveAll(places: Place[]): void {
  for (const place of places) place.leave();
}

test("one network has at most a quarter of the places, and others have theirs", () => {
  const { takeAll } = makePlaces();
  assert.equal(takeAll(20, "192.0.2.1").length, 4);
  assert.equal(takeAll(20, "192.0.2.2").length, 4);
});

test("all networks together have no more places than there are, and those without one neither", () => {
  const { take, takeAll } = makePlaces();
  assert.equal(takeAll(10).length, 10);
  assert.equal(takeAll(4, "192.0.2.1").length, 4);
  assert.equal(takeAll(20).length, 2);
  assert.equal(take("192.0.2.2"), undefined);
});

test("a place that is left is another's, however often it is left", () => {
  const { takeAll } = makePlaces();
  const taken = takeAll(16);
  const [first] = taken;
  first?.leave();
  first?.leave();
  assert.equal(takeAll(16).length, 1);
  leaveAll(taken);
  assert.equal(takeAll(20).length, 15);
});

test("a place of which nothing is heard is free after ten seconds", () => {
  const { takeAll, advance } = makePlaces();
  takeAll(16);
  advance(9_999);
  assert.equal(takeAll(16).length, 0);
  advance(1);
  assert.equal(takeAll(16).length, 16);
});

test("turns are so far apart, and the first is at once", async () => {
  const { takeAll, waits, advance } = makePlaces();
  const taken = takeAll(4);
  for (const place of taken) await place.turn();
  assert.deepEqual(waits, [everyMs, 2 * everyMs, 3 * everyMs]);
  leaveAll(taken);
  advance(10 * everyMs);
  for (const place of takeAll(1)) await place.turn();
  assert.equal(waits.length, 3, "who comes later does not wait for those before");
});

test("a clock that was put back keeps nobody waiting for long", async () => {
  const { take, waits, advance } = makePlaces();
  for (let turn = 0; turn < 3; turn++) await take()?.turn();
  advance(-3_600_000);
  await take()?.turn();
  assert.equal(waits.at(-1), 16 * everyMs);
  advance(16 * everyMs);
  await take()?.turn();
  assert.equal(waits.at(-1), everyMs);
});
