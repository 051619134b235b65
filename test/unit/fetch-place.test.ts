/** How a fetch takes its place among those of its upstream, keeps it, and leaves it. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FetchPlace } from "../../src/objects/fetch/place.ts";
import type { ObjectBindings } from "../../src/rpc/stubs.ts";
import { namespaceOf } from "../support/namespace.ts";
// For the scheduler of a Worker.
import "../support/sqlite.ts";

/** A fetch, of whose questions for a place the object of the upstream answers so: `undefined` if it cannot be reached. */
function placeOf(t: TestContext, ...answers: (boolean | undefined)[]) {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  let waitedMs = 0;
  t.mock.method(performance, "now", () => waitedMs);
  t.mock.method(scheduler, "wait", async (milliseconds: number) => {
    waitedMs += milliseconds;
  });
  const calls: string[] = [];
  const state = {
    takePlace: async () => {
      calls.push("take");
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === undefined) throw new Error("the object cannot be reached");
      return answer;
    },
    leavePlace: async () => {
      calls.push("leave");
    },
  };
  const env = { UPSTREAM_STATES: namespaceOf(state) } as unknown as ObjectBindings;
  const work: Promise<unknown>[] = [];
  const waitUntil = (each: Promise<unknown>) => {
    work.push(each);
  };
  const place = new FetchPlace({ env, clock, waitUntil }, "up", "fetch");
  return { place, clock, calls, done: () => Promise.all(work), waitedMs: () => waitedMs };
}

test("a fetch waits until a place is free", async (t) => {
  const { place, calls, waitedMs } = placeOf(t, false, false, true);
  assert.equal(await place.take(), true);
  assert.equal(calls.length, 3);
  assert.equal(waitedMs(), 500);
});

test("for half a minute", async (t) => {
  const { place, waitedMs } = placeOf(t, false);
  assert.equal(await place.take(), false);
  assert.equal(waitedMs(), 30_250);
});

test("if nobody gives places, a fetch goes on without", async (t) => {
  const { place, clock, done } = placeOf(t, undefined);
  assert.equal(await place.take(), true);
  clock.nowMs += 10_000;
  place.keep();
  await done();
});

test("a place is kept every ten seconds, and left in the end", async (t) => {
  const { place, clock, calls, done } = placeOf(t, true);
  await place.take();
  for (let elapsed = 0; elapsed < 25_000; elapsed += 1000) {
    clock.nowMs += 1000;
    place.keep();
  }
  place.leave();
  await done();
  assert.deepEqual(calls, ["take", "take", "take", "leave"]);
});
