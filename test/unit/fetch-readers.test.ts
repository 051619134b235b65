/** The clients of a fetch, and when nobody waits for it any more. */
import assert from "node:assert/strict";
import test from "node:test";
import { Readers } from "../../src/objects/fetch/readers.ts";

function newReaders() {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  return { readers: new Readers(clock), clock };
}

test("a fetch is given up a minute after its last client has gone", () => {
  const { readers, clock } = newReaders();
  const [first, second] = [readers.join(), readers.join()];
  clock.nowMs += 600_000;
  readers.leave(first);
  clock.nowMs += 600_000;
  assert.equal(readers.isAbandoned(10, 100), false);
  readers.leave(second);
  clock.nowMs += 60_000;
  assert.equal(readers.isAbandoned(10, 100), false);
  clock.nowMs += 1;
  assert.equal(readers.isAbandoned(10, 100), true);
});

test("or after it has begun, if none has come", () => {
  const { readers, clock } = newReaders();
  assert.equal(readers.isAbandoned(10, 100), false);
  clock.nowMs += 60_001;
  assert.equal(readers.isAbandoned(10, 100), true);
});

test("but not past half", () => {
  const { readers, clock } = newReaders();
  clock.nowMs += 600_000;
  assert.equal(readers.isAbandoned(49, 100), true);
  assert.equal(readers.isAbandoned(50, 100), false);
});

test("nor while a client waits that came later", () => {
  const { readers, clock } = newReaders();
  readers.leave(readers.join());
  clock.nowMs += 60_001;
  readers.join();
  assert.equal(readers.isAbandoned(10, 100), false);
});

test("where half is cannot be told without a size", () => {
  const { readers, clock } = newReaders();
  clock.nowMs += 60_001;
  assert.equal(readers.isAbandoned(1_000_000, undefined), true);
});

test("sixteen clients read along, and those that come when some have gone", () => {
  const { readers } = newReaders();
  const all = Array.from({ length: 18 }, () => readers.join());
  assert.deepEqual(
    all.map(({ isLive }) => isLive),
    [...Array<boolean>(16).fill(true), false, false],
  );
  const [first] = all;
  assert(first !== undefined);
  readers.leave(first);
  assert.equal(readers.join().isLive, true);
  assert.equal(readers.join().isLive, false);
  assert.equal(readers.live().length, 16);
});

test("who waits for a client to move on hears of one that has gone", async () => {
  const { readers } = newReaders();
  const reader = readers.join();
  const startedMs = performance.now();
  const moved = readers.moved.wait(60_000);
  readers.leave(reader);
  await moved;
  assert(performance.now() - startedMs < 30_000);
});
