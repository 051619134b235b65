/** The bytes of a fetch that are in memory. */
import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { RecentBytes } from "../../src/objects/fetch/recent.ts";
import { partBufferBytes, takeBuffer } from "../../src/objects/upload/part-buffers.ts";
import { after } from "../support/ends-of-files.ts";

// A test that fails gives no buffer back, and would wait for its timer.
mock.timers.enable({ apis: ["setInterval"] });
after(() => mock.timers.reset());

const pieceBytes = 8;
const bytes = (from: number, to: number) =>
  Uint8Array.from({ length: to - from }, (_, index) => from + index);

/** The memory for so many pieces, from an offset on, with this budget. */
async function recentFrom(start: number, pieces: number, budgetBytes = 1000): Promise<RecentBytes> {
  const first = await takeBuffer(pieceBytes, budgetBytes, undefined);
  assert(first !== undefined);
  return new RecentBytes(first, pieces * pieceBytes, budgetBytes, start);
}

/** The bytes that can be read from an offset on, which are released at once. */
function read(recent: RecentBytes, offset: number, end = 1000): Uint8Array | undefined {
  const held = recent.read(offset, end);
  const copy = held?.bytes.slice();
  held?.release();
  return copy;
}

test("the last pieces can be read, up to what is released", async () => {
  const recent = await recentFrom(0, 2);
  recent.append(bytes(0, 12));
  assert.deepEqual([recent.from, recent.end, recent.nextFrom], [0, 12, 0]);
  assert.deepEqual(read(recent, 3), bytes(3, 8));
  assert.deepEqual(read(recent, 8, 10), bytes(8, 10));
  assert.equal(read(recent, 12), undefined);
  assert.equal(read(recent, 5, 5), undefined);
  recent.append(bytes(12, 16));
  assert.deepEqual([recent.from, recent.nextFrom], [0, 8]);
  recent.append(bytes(16, 20));
  assert.deepEqual([recent.from, recent.end], [8, 20]);
  assert.equal(read(recent, 7), undefined);
  assert.deepEqual(read(recent, 9), bytes(9, 16));
  recent.close();
  assert.equal(partBufferBytes(), 0);
});

test("it goes on where an earlier life stopped", async () => {
  const recent = await recentFrom(16, 2);
  recent.append(bytes(16, 20));
  assert.equal(read(recent, 15), undefined);
  assert.deepEqual(read(recent, 17), bytes(17, 20));
  recent.close();
  assert.equal(partBufferBytes(), 0);
});

test("without memory for more, one piece is enough", async () => {
  const recent = await recentFrom(0, 4, pieceBytes);
  recent.append(bytes(0, 9));
  assert.deepEqual([recent.from, recent.end], [8, 9]);
  assert.deepEqual(read(recent, 8), bytes(8, 9));
  recent.close();
  assert.equal(partBufferBytes(), 0);
});

test("bytes that are skipped cannot be read, nor those before them, and later ones can", async () => {
  const recent = await recentFrom(0, 2);
  recent.append(bytes(0, 12));
  const held = recent.read(8, 12);
  recent.skip(10);
  assert.deepEqual([recent.from, recent.end, recent.nextFrom], [22, 22, 22]);
  assert.equal(read(recent, 9), undefined);
  assert.deepEqual(held?.bytes, bytes(8, 12));
  held?.release();
  assert.equal(partBufferBytes(), 0);
  recent.append(bytes(22, 30));
  assert.deepEqual([recent.from, recent.end], [22, 30]);
  assert.deepEqual(read(recent, 24), bytes(24, 30));
  recent.close();
  assert.equal(partBufferBytes(), 0);
});

test("bytes that a client reads stay as they are, and their memory is given back when it is done", async () => {
  const recent = await recentFrom(0, 1, 2 * pieceBytes);
  recent.append(bytes(0, 8));
  const held = recent.read(2, 6);
  recent.append(bytes(8, 16));
  assert.deepEqual(held?.bytes, bytes(2, 6));
  assert.equal(partBufferBytes(), 2 * pieceBytes);
  held?.release();
  assert.equal(partBufferBytes(), pieceBytes);
  recent.close();
  assert.equal(partBufferBytes(), 0);
});

test("while clients hold all that there is room for, bytes are left out", async () => {
  const recent = await recentFrom(0, 1, pieceBytes);
  recent.append(bytes(0, 8));
  const held = recent.read(0, 8);
  recent.append(bytes(8, 20));
  assert.deepEqual([recent.from, recent.end], [20, 20]);
  assert.equal(read(recent, 8), undefined);
  assert.deepEqual(held?.bytes, bytes(0, 8));
  held?.release();
  recent.append(bytes(20, 22));
  assert.deepEqual(read(recent, 20), bytes(20, 22));
  recent.close();
  assert.equal(partBufferBytes(), 0);
});
