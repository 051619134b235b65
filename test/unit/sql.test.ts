import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import {
  eachRow,
  firstRow,
  hasRow,
  readRows,
  type Tx,
  takeBytes,
  transaction,
} from "../../src/objects/sql.ts";
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

const three = "SELECT value FROM json_each('[1,2,3]')";

/** Tables whose cursors are as those of an object: nobody can close them, and they end with their last row. */
function openTables() {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE dropped (x INTEGER)");
  const exec = (query: string) => {
    const rows = database.prepare(query).iterate();
    return { next: () => rows.next(), [Symbol.iterator]: () => ({ next: () => rows.next() }) };
  };
  const sql = { exec } as unknown as SqlStorage;
  return { sql, drop: () => database.exec("DROP TABLE dropped") };
}

test("while a statement is open, no table can be dropped", () => {
  const { sql, drop } = openTables();
  sql.exec(three).next();
  assert.throws(drop, /locked/);
});

test("a reader that stops at the first row leaves no statement open", () => {
  const { sql, drop } = openTables();
  for (const row of eachRow(sql, three)) {
    assert.equal(row.value, 1);
    break;
  }
  drop();
});

test("a reader that fails at a row leaves no statement open", () => {
  const { sql, drop } = openTables();
  const fail = () => {
    for (const _ of eachRow(sql, three)) throw new Error("no");
  };
  assert.throws(fail, /no/);
  drop();
});

test("a reader that goes on to the end has all rows", () => {
  const { sql, drop } = openTables();
  assert.deepEqual(
    Array.from(eachRow<{ value: number }>(sql, three), ({ value }) => value),
    [1, 2, 3],
  );
  drop();
});
