import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { systemClock } from "../../src/clock.ts";
import {
  giveBuffer,
  partBufferBytes,
  takeBuffer,
  takeSpareBuffer,
} from "../../src/objects/upload/part-buffers.ts";
import { PartWriter } from "../../src/objects/upload/part-writer.ts";
import { mebibyte, minute } from "../../src/units.ts";
import { after } from "../support/ends-of-files.ts";
// For the scheduler of a Worker.
import "../support/sqlite.ts";

// A test that fails gives no buffer back, and would wait for its timer.
mock.timers.enable({ apis: ["setInterval"] });
after(() => mock.timers.reset());

const size = 30 * mebibyte;
const [none, budget] = [0, 70 * mebibyte];

/** Takes the buffer of an upload that does not wait. */
async function take(sizeBytes = size, budgetBytes = none): Promise<Uint8Array> {
  const buffer = await takeBuffer(sizeBytes, budgetBytes, undefined);
  assert(buffer !== undefined);
  return buffer;
}

test("a second buffer is there only while the budget has room", async () => {
  const first = await take();
  assert(takeSpareBuffer(size, 2 * size - 1) === undefined);
  const second = takeSpareBuffer(size, 2 * size);
  assert(second !== undefined);
  assert.equal(partBufferBytes(), 2 * size);
  for (const buffer of [first, second]) giveBuffer(buffer);
  assert.equal(partBufferBytes(), 0);
});

test("all buffers together are bounded, but for a larger budget, and for an upload alone", async () => {
  const buffers = [await take(), await take(), await take()];
  assert((await takeBuffer(size, budget, undefined)) === undefined);
  const more = await take(size, 4 * size);
  for (const buffer of [...buffers, more]) giveBuffer(buffer);
  const alone = await take(200 * mebibyte);
  giveBuffer(alone);
  assert.equal(partBufferBytes(), 0);
});

test("an upload that has begun waits for others to end, for a minute", async () => {
  const buffers = [await take(), await take(), await take()];
  let waitedMs = 0;
  const waiting = takeBuffer(size, none, async (milliseconds) => {
    waitedMs += milliseconds;
    const [first] = buffers;
    if (waitedMs === 3000 && first !== undefined) giveBuffer(first);
  });
  const taken = await waiting;
  assert(taken !== undefined);
  assert.equal(waitedMs, 3000);
  let longMs = 0;
  const late = await takeBuffer(size, none, async (milliseconds) => {
    longMs += milliseconds;
  });
  assert(late === undefined);
  assert.equal(longMs, 60_000);
  for (const buffer of [taken, ...buffers.slice(1)]) giveBuffer(buffer);
  assert.equal(partBufferBytes(), 0);
});

test("an upload that is stopped while it waits takes nothing", async () => {
  const buffers = [await take(), await take(), await take()];
  await assert.rejects(
    takeBuffer(size, none, async () => {
      throw new Error("stopped");
    }),
  );
  for (const buffer of buffers) giveBuffer(buffer);
  assert.equal(partBufferBytes(), 0);
});

test("a writer that cannot read what earlier requests left gives its buffer back", async () => {
  const part = await take();
  const readTail = () => assert.fail("the rows cannot be read");
  assert.throws(() => new PartWriter({ part, budgetBytes: none, readTail, storePart: async () => {} }));
  assert.equal(partBufferBytes(), 0);
});

test("a writer gives both of its buffers back, once nothing is stored from them any more", async () => {
  const before = partBufferBytes();
  const stored = Promise.withResolvers<void>();
  const part = await takeBuffer(8, 100, undefined);
  assert(part !== undefined);
  const writer = new PartWriter({
    part,
    budgetBytes: 100,
    readTail: () => 0,
    storePart: () => stored.promise,
  });
  await writer.write(new Uint8Array(12));
  assert.equal(partBufferBytes() - before, 16);
  const closing = writer.close();
  await Promise.resolve();
  assert.equal(partBufferBytes() - before, 16);
  stored.resolve();
  await closing;
  assert.equal(partBufferBytes(), before);
});

test("the buffer of an object that has failed counts for some minutes, and that of a slow upload for as long as it lives", async (t) => {
  const clock = { nowMs: systemClock.now() };
  t.mock.method(systemClock, "now", () => clock.nowMs);
  const timers: (() => void)[] = [];
  const setTimer = t.mock.method(globalThis, "setInterval", (beat: () => void) => timers.push(beat));
  const clearTimer = t.mock.method(globalThis, "clearInterval", () => {});
  const failed = await take();
  // With the object, its timers have ended.
  timers.length = 0;
  const [slow, other] = [await take(), await take()];
  const passMinute = () => {
    clock.nowMs += minute;
    for (const beat of timers) beat();
  };
  for (let minutes = 0; minutes < 4; minutes++) passMinute();
  assert.equal(partBufferBytes(), 3 * size);
  assert((await takeBuffer(size, none, undefined)) === undefined);
  passMinute();
  assert.equal(partBufferBytes(), 2 * size);
  const next = await take();
  // The whole machine stood still.
  clock.nowMs += 60 * minute;
  assert.equal(partBufferBytes(), 0);
  for (const beat of timers) beat();
  assert.equal(partBufferBytes(), 3 * size);
  for (const buffer of [failed, slow, other, next]) giveBuffer(buffer);
  assert.equal(partBufferBytes(), 0);
  assert.equal(clearTimer.mock.callCount(), setTimer.mock.callCount());
});
