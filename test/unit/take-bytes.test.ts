import assert from "node:assert/strict";
import test from "node:test";
import { takeBytes } from "../../src/objects/take-bytes.ts";

const mebibyte = 1024 * 1024;
const bytesOf = (row: number) => row;

test("a batch ends before the row that would be too much, and is not empty if there is a row", () => {
  assert.deepEqual(takeBytes([], bytesOf), []);
  assert.deepEqual(takeBytes([1, 2, 3], bytesOf), [1, 2, 3]);
  assert.deepEqual(takeBytes([3 * mebibyte, mebibyte, 1], bytesOf), [3 * mebibyte, mebibyte]);
  assert.deepEqual(takeBytes([30 * mebibyte, 1], bytesOf), [30 * mebibyte]);
});

test("a batch reads no row further than one after it", () => {
  let read = 0;
  function* rows() {
    for (;;) yield ++read && mebibyte;
  }
  assert.equal(takeBytes(rows(), bytesOf).length, 4);
  assert.equal(read, 5);
});
