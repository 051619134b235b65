/** The bytes of a fetch that are in memory. */
import assert from "node:assert/strict";
import test from "node:test";
import { FetchWindow } from "../../src/objects/fetch/window.ts";
import { partBufferBytes, takeBuffer } from "../../src/objects/upload/part-buffers.ts";

const partBytes = 8;
const bytes = (from: number, to: number) =>
  Uint8Array.from({ length: to - from }, (_, index) => from + index);

/** A window that begins at an offset, with this budget. */
async function windowFrom(start: number, budgetBytes = 1000): Promise<FetchWindow> {
  const part = await takeBuffer(partBytes, budgetBytes, undefined);
  assert(part !== undefined);
  return new FetchWindow(part, budgetBytes, start);
}

/** Appends bytes that all have room. */
function fill(window: FetchWindow, from: number, to: number): void {
  assert.equal(window.append(bytes(from, to)), to - from);
}

test("the last part and the one before can be read, up to what is released", async () => {
  const window = await windowFrom(0);
  fill(window, 0, 8);
  assert.equal(window.append(bytes(8, 12)), 0);
  assert.equal(window.isFull, true);
  assert.equal(window.tryNext(), true);
  fill(window, 8, 12);
  assert.deepEqual([window.from, window.start, window.end], [0, 8, 12]);
  assert.deepEqual(window.read(3, 100), bytes(3, 8));
  assert.deepEqual(window.read(8, 10), bytes(8, 10));
  assert.equal(window.read(12, 100), undefined);
  assert.equal(window.read(5, 5), undefined);
  assert.equal(window.append(bytes(12, 20)), 4);
  assert.equal(window.tryNext(), true);
  assert.deepEqual([window.from, window.start], [8, 16]);
  assert.equal(window.read(7, 100), undefined);
  assert.deepEqual(window.read(9, 100), bytes(9, 16));
  window.close();
  assert.equal(partBufferBytes(), 0);
});

test("it goes on where an earlier life stopped", async () => {
  const window = await windowFrom(16);
  fill(window, 16, 20);
  assert.equal(window.read(15, 100), undefined);
  assert.deepEqual(window.read(17, 100), bytes(17, 20));
  window.close();
});

test("without memory for two parts, one is enough", async () => {
  const window = await windowFrom(0, partBytes);
  fill(window, 0, 8);
  assert.equal(window.tryNext(), false);
  window.restart();
  assert.deepEqual([window.from, window.end], [8, 8]);
  fill(window, 8, 9);
  assert.deepEqual(window.read(8, 100), bytes(8, 9));
  window.close();
  assert.equal(partBufferBytes(), 0);
});
