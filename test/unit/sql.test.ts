import assert from "node:assert/strict";
import test from "node:test";
import { firstRow, hasRow, readRows, type Tx, takeBytes, transaction } from "../../src/objects/sql.ts";
import { memoryStorage } from "../support/sqlite.ts";

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

/** Storage with a table of one number. */
function storageOfOne() {
  const storage = memoryStorage();
  transaction(storage, (tx) => {
    tx.write("CREATE TABLE numbers (value INTEGER)");
    tx.write("INSERT INTO numbers (value) VALUES (?)", 1);
  });
  const value = () => firstRow<{ value: number }>(storage.sql, "SELECT value FROM numbers")?.value;
  return { storage, value };
}

test("a transaction keeps all that it writes, or nothing where its work throws", () => {
  const { storage, value } = storageOfOne();
  const failing = () =>
    transaction(storage, (tx) => {
      tx.write("UPDATE numbers SET value = 2");
      assert.equal(value(), 2);
      throw new Error("on purpose");
    });
  assert.throws(failing, /on purpose/);
  assert.equal(value(), 1);
  const [row] = transaction(storage, (tx) => tx.write("UPDATE numbers SET value = 3 RETURNING value"));
  assert.deepEqual({ ...row }, { value: 3 });
});

test("a transaction that is over writes nothing: its work awaited something", async () => {
  const { storage, value } = storageOfOne();
  const write = async (tx: Tx) => {
    tx.write("UPDATE numbers SET value = 2");
    await Promise.resolve();
    tx.write("UPDATE numbers SET value = 3");
  };
  await assert.rejects(transaction(storage, write), /the transaction is over/);
  assert.equal(value(), 2);
});

test("a statement that writes cannot be run as one that reads", () => {
  const { storage, value } = storageOfOne();
  const { sql } = storage;
  // @ts-expect-error: it is no query.
  readRows(sql, "DELETE FROM numbers WHERE value > 1");
  const table = "numbers";
  // @ts-expect-error: nor is this one.
  readRows(sql, `DELETE FROM ${table} WHERE value > 1`);
  // @ts-expect-error: what looks like a transaction is none.
  const forged: Tx = { sql, write: () => [], writeOne: () => ({}) };
  assert(forged !== undefined && hasRow(sql, `SELECT 1 FROM ${table}`));
  assert.equal(value(), 1);
});
