import assert from "node:assert/strict";
import test from "node:test";
import { readBody, readForm } from "../../src/edge/body.ts";
import type { Context } from "../../src/edge/context.ts";
import { MemoryBudget } from "../../src/edge/memory-budget.ts";
import { mebibyte } from "../support/content.ts";

/** A budget whose waits move its clock. `onWait` is called at each. */
function budgetOf(onWait = () => {}) {
  const clock = { time: 1_000_000, now: () => clock.time };
  const wait = async (ms: number) => {
    clock.time += ms;
    onWait();
  };
  const budget = new MemoryBudget(clock, { bytes: 24 * mebibyte, wait });
  const reserve = async (bytes: number, holder?: string) => {
    const room = await budget.reserve(bytes, holder);
    assert(room !== undefined);
    return room;
  };
  return { budget, clock, reserve };
}

test("bodies get room until the budget is used up, and then wait until some is given back", async () => {
  let waits = 0;
  const { reserve } = budgetOf(() => {
    waits++;
    if (waits === 3) first.release();
  });
  const first = await reserve(4 * mebibyte);
  for (let i = 1; i < 6; i++) await reserve(4 * mebibyte);
  assert.equal(waits, 0);
  await reserve(4 * mebibyte);
  assert.equal(waits, 3);
});

test("who waits too long is told so; room that was given back twice counts once", async () => {
  const { budget, clock, reserve } = budgetOf();
  const room = await reserve(24 * mebibyte);
  room.keep();
  const began = clock.time;
  assert.equal(await budget.reserve(1), undefined);
  assert.equal(clock.time - began, 10_000);
  room.release();
  room.release();
  (await reserve(24 * mebibyte)).keep();
  assert.equal(await budget.reserve(1), undefined);
});

test("room of requests that were lost is given to others", async () => {
  const { clock, reserve } = budgetOf();
  (await reserve(24 * mebibyte)).keep();
  clock.time += 60_000;
  await reserve(24 * mebibyte);
});

test("a body that is not whole after five seconds loses its room to one that needs it, the oldest first", async () => {
  const { clock, reserve } = budgetOf();
  const [oldest, whole, slow] = [
    await reserve(12 * mebibyte),
    await reserve(6 * mebibyte),
    await reserve(6 * mebibyte),
  ];
  oldest.pieces.push(new Uint8Array(1000));
  assert(whole.keep());
  const began = clock.time;
  await reserve(6 * mebibyte);
  assert.equal(clock.time - began, 5000);
  assert.deepEqual([oldest.isLost, whole.isLost, slow.isLost], [true, false, false]);
  assert.deepEqual(oldest.pieces, []);
  assert(!oldest.keep());
  await reserve(6 * mebibyte);
  assert(!slow.isLost);
});

test("a body is read no further once its room is lost", async () => {
  const { reserve } = budgetOf();
  for (const losesAfter of ["its first piece", "its last piece"]) {
    const room = await reserve(1000);
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(100));
        if (room.pieces.length === 1) room.release();
        if (room.isLost && losesAfter === "its last piece") controller.close();
      },
    });
    assert.deepEqual(await readBody(body, undefined, 1000, room), { ok: false, reason: "too slow" });
  }
});

test("one holder has half of it at most", async () => {
  const { clock, reserve, budget } = budgetOf();
  const own = [await reserve(6 * mebibyte, "ann"), await reserve(6 * mebibyte, "ann")];
  for (const room of own) room.keep();
  assert.equal(await budget.reserve(1, "ann"), undefined);
  const began = clock.time;
  await reserve(6 * mebibyte, "bob");
  await reserve(6 * mebibyte);
  assert.equal(clock.time, began);
});

test("forms that one network sends slowly take no more than their share, and keep no other waiting", async () => {
  const clock = { time: 1_000_000, now: () => clock.time };
  const wait = async (ms: number) => {
    clock.time += ms;
  };
  Object.assign(globalThis, { scheduler: { wait } });
  const registry = { clock };
  const send = (address: string, body: ReadableStream<Uint8Array>) => {
    const request = { headers: new Headers(), body };
    const access = { account: "anonymous", credential: "none" };
    return readForm({ registry, request, access, address } as unknown as Context, 64 * 1024);
  };
  const whole = () => new Blob(["grant_type=password"]).stream();
  const slow: ReadableStreamDefaultController<Uint8Array>[] = [];
  const oldest = send("192.0.2.1", new ReadableStream({ start: (each) => void slow.push(each) }));
  for (let count = 1; count < 128; count++) void send("192.0.2.1", new ReadableStream());
  const began = clock.time;
  assert((await send("192.0.2.2", whole())).ok);
  assert.equal(clock.time, began);
  assert((await send("192.0.2.1", whole())).ok);
  assert.equal(clock.time - began, 5000);
  slow[0]?.enqueue(new Uint8Array(1));
  assert.deepEqual(await oldest, { ok: false, reason: "too slow" });
});
