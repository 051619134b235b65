/** The features of a ledger: that no table and no job is left out, and what becomes of each at a deletion. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import {
  type AtDeletion,
  deleteContent,
  endDeletion,
  type Feature,
  isDrained,
  jobsOf,
  remembersAny,
  schemaOf,
} from "../../src/objects/ledger/feature.ts";
import { hasRow, readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { memoryLedger } from "../support/ledger.ts";

const { features } = memoryLedger();

/** What is declared more often than once. */
function repeated(names: string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

const tablesOf = (list: readonly Feature[]) => list.flatMap(({ tables }) => Object.entries(tables));
const jobEntriesOf = (list: readonly Feature[]) => list.flatMap(({ jobs }) => Object.entries(jobs));

/** The tables that the schema makes. */
function tablesIn(sql: SqlStorage): string[] {
  const query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
  return readRows<{ name: string }>(sql, query).map(({ name }) => name);
}

test("every table of a ledger belongs to one feature, which says what becomes of it at a deletion", () => {
  const declared = tablesOf(features).map(([table]) => table);
  assert.deepEqual(declared.toSorted(), tablesIn(memoryLedger().sql).toSorted());
  assert.deepEqual(repeated(declared), []);
});

test("every kind of job belongs to one feature", () => {
  const kinds = jobEntriesOf(features).map(([kind]) => kind);
  assert.deepEqual(repeated(kinds), []);
  assert.deepEqual(Object.keys(jobsOf(features)), kinds);
});

test("the tables are those that earlier releases made, to the letter", () => {
  const text = readFileSync(join(import.meta.dirname, "..", "support", "ledger-schema.json"), "utf8");
  const query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name";
  const made = readRows(memoryLedger().sql, query).map((row) => ({ ...row }));
  assert.deepEqual(made, JSON.parse(text));
});

/** The version of the ledger's schema. A new table or column is a step to the next one, which is then the newest. */
const newestVersion = 10;

test(`the ledger's schema has version ${newestVersion}, and a step to each version`, () => {
  const steps = schemaOf(features);
  assert.equal(steps.length, newestVersion, "the next step leads to the version after newestVersion");
  assert(steps.every((step) => step.trim() !== ""));
});

/** A ledger with a row in every table, and one that is due for every job. */
function fullLedger() {
  const ledger = memoryLedger();
  const { sql, change, repository } = ledger;
  change((tx) => repository.write(tx, "founded", "yes"));
  change((tx) => {
    for (const table of tablesIn(sql).filter((name) => name !== "schema_version" && name !== "due")) {
      const columns = readRows<{ name: string; type: string }>(
        sql,
        "SELECT name, type FROM pragma_table_info(?)",
        table,
      );
      const names = columns.map(({ name }) => name).join(", ");
      const values = columns.map(({ type }) => (type === "INTEGER" ? 1 : "x"));
      tx.write(`INSERT INTO ${table} (${names}) VALUES (${values.map(() => "?").join(", ")})`, ...values);
    }
    for (const kind of Object.keys(jobsOf(features)))
      tx.write("INSERT INTO due (kind, id, at) VALUES (?, 'x', 1)", kind);
  });
  repository.reload();
  return ledger;
}

/** The tables and jobs with one of these fates that have a row. */
function left(sql: SqlStorage, fates: AtDeletion[]): string[] {
  const tables = tablesOf(features).filter(([, fate]) => fates.includes(fate));
  const jobs = jobEntriesOf(features).filter(([, { atDeletion }]) => fates.includes(atDeletion));
  return [
    ...tables.map(([table]) => table).filter((table) => hasRow(sql, `SELECT 1 FROM ${table}`)),
    ...jobs.map(([kind]) => kind).filter((kind) => hasRow(sql, "SELECT 1 FROM due WHERE kind = ?", kind)),
  ];
}

test("a deletion empties what is the repository's, and leaves what others have still to be told", () => {
  const { sql, change, repository, features: own } = fullLedger();
  const before = left(sql, ["drained", "emptied last", "remembered", "kept"]);
  change((tx) => {
    deleteContent(tx, own);
    repository.markDeleted(tx, registryItself);
  });
  assert.deepEqual(left(sql, ["emptied"]), []);
  assert.deepEqual(left(sql, ["drained", "emptied last", "remembered", "kept"]), before);
});

test("a deletion is over when each table and job that others have to be told of is empty", () => {
  const { sql, change, features: own } = fullLedger();
  change((tx) => deleteContent(tx, own));
  const waits = left(sql, ["drained"]);
  assert.deepEqual(waits, ["outbox", "flights", "events", "announce", "release", "backlog"]);
  for (const name of waits) {
    assert(!isDrained(sql, own), name);
    change((tx) => {
      if (tablesIn(sql).includes(name)) tx.write(`DELETE FROM ${name}`);
      else tx.write("DELETE FROM due WHERE kind = ?", name);
    });
  }
  assert(isDrained(sql, own));
});

test("what is remembered outlives the repository, and nothing else does", () => {
  const { sql, change, repository, features: own } = fullLedger();
  change((tx) => endDeletion(tx, own));
  repository.reload();
  assert.deepEqual(left(sql, ["emptied last"]), []);
  assert.equal(repository.meta?.isFounded, false);
  assert.equal(repository.name(), "team/app");
  assert(remembersAny(sql, own));
  change((tx) => tx.write("DELETE FROM void_leases"));
  assert(!remembersAny(sql, own));
});
