import assert from "node:assert/strict";
import test from "node:test";
import {
  giveBuffer,
  partBufferBytes,
  takeBuffer,
  tryTakeBuffer,
} from "../../src/objects/upload/part-writer.ts";

test("an upload always gets its first buffer, and a second one only while the budget has room", () => {
  const first = takeBuffer(5);
  assert.equal(tryTakeBuffer(5, 9), undefined);
  const second = tryTakeBuffer(5, 10);
  assert(second !== undefined);
  assert.equal(partBufferBytes(), 10);
  const third = takeBuffer(5);
  assert.equal(partBufferBytes(), 15);
  for (const buffer of [first, second, third]) giveBuffer(buffer);
  assert.equal(partBufferBytes(), 0);
});
