/** The features of a ledger: that no table and no job is left out, and what becomes of each at a deletion. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import {
  asideName,
  awaitsAny,
  contentTables,
  type Feature,
  jobsOf,
  schemaOf,
} from "../../src/objects/ledger/feature.ts";
import { applySchema, sqlOf } from "../../src/objects/schema.ts";
import { hasRow, readRows, transaction } from "../../src/objects/sql.ts";
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
const newestVersion = 14;

test(`the ledger's schema has version ${newestVersion}, and a step to each version`, () => {
  const steps = schemaOf(features);
  assert.equal(steps.length, newestVersion, "the next step leads to the version after newestVersion");
  assert(steps.every((step) => sqlOf(step).trim() !== ""));
});

test("what earlier releases recorded of a repository as a number is text again", () => {
  const { storage, sql } = memoryLedger();
  transaction(storage, (tx) => {
    tx.write("DROP TABLE meta");
    tx.write("CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID");
    tx.write("INSERT INTO meta (key, value) VALUES ('name', '2024'), ('description', 'an app')");
    tx.write("UPDATE schema_version SET steps = 13");
    applySchema(tx, schemaOf(features));
  });
  const kept = readRows<{ key: string; value: string }>(sql, "SELECT key, value FROM meta");
  assert.deepEqual(Object.fromEntries(kept.map(({ key, value }) => [key, value])), {
    name: "2024",
    description: "an app",
  });
});

test("no step drops an index of content by its name, as a ledger whose repository was deleted has another name for it", () => {
  const ofContent = contentTables(features).flatMap(([table]) =>
    readRows<{ name: string }>(
      memoryLedger().sql,
      "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
      table,
    ),
  );
  assert(ofContent.length > 0);
  const dropped = schemaOf(features).flatMap((step) =>
    Array.from(sqlOf(step).matchAll(/DROP INDEX (?:IF EXISTS )?(\w+)/gi), ([, name]) => name),
  );
  assert.deepEqual(dropped, ["due_by_time"], "an index of due, which is never set aside");
});

/** A ledger with a row in every table, and one that is due for every job. */
function fullLedger() {
  const ledger = memoryLedger();
  const { sql, change, repository } = ledger;
  change((tx) => {
    repository.write(tx, "founded", "yes");
    // One was deleted before.
    repository.write(tx, "generation", "2");
  });
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

type Fate = "content" | "cleared" | "awaited" | "kept";

/** The tables and jobs with one of these fates that have a row. */
function left(sql: SqlStorage, fates: Fate[]): string[] {
  const tables = tablesOf(features).filter(([, fate]) =>
    fates.includes(typeof fate === "string" ? fate : "content"),
  );
  const jobs = jobEntriesOf(features).filter(([, { atDeletion }]) => fates.includes(atDeletion));
  return [
    ...tables.map(([table]) => table).filter((table) => hasRow(sql, `SELECT 1 FROM ${table}`)),
    ...jobs.map(([kind]) => kind).filter((kind) => hasRow(sql, "SELECT 1 FROM due WHERE kind = ?", kind)),
  ];
}

/** Deletes the repository of a ledger. */
function endGeneration({ change, repository, generations }: ReturnType<typeof fullLedger>): void {
  const { meta } = repository;
  assert(meta !== undefined);
  change((tx) => generations.end(tx, meta, registryItself));
  repository.reload();
}

/** What the schema has of tables and indexes, without what was set aside and without the numbers of generations. */
function schemaIn(sql: SqlStorage): string[] {
  const query =
    "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'deleted\\__\\_%' ESCAPE '\\' AND sql IS NOT NULL";
  const made = readRows<{ sql: string }>(sql, query as `SELECT ${string}`).map((row) => row.sql);
  return made
    .filter((each) => !/ON "deleted_/.test(each))
    .map((each) => each.replace(/_of_\d+ ON /, " ON "))
    .toSorted();
}

test("a deletion sets aside what is the repository's, and leaves everything else", () => {
  const ledger = fullLedger();
  const { sql, repository } = ledger;
  const before = left(sql, ["awaited", "kept"]);
  const content = contentTables(features).map(([table]) => table);
  for (let generation = 2; generation <= 4; generation++) {
    endGeneration(ledger);
    assert.deepEqual(left(sql, ["content", "cleared"]), []);
    assert.deepEqual(left(sql, ["awaited", "kept"]), before);
    for (const table of content)
      assert.equal(hasRow(sql, `SELECT 1 FROM ${asideName(table, generation)}`), generation === 2, table);
    assert.equal(repository.meta?.generation, generation + 1);
    assert.equal(repository.meta.isFounded, false);
    assert.equal(repository.name(), "team/app");
    assert.deepEqual(schemaIn(sql), schemaIn(memoryLedger().sql), "tables and indexes are made again");
  }
});

test("the key of a table of content is the one that it says", () => {
  const { sql } = memoryLedger();
  const query = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk";
  for (const [table, { key }] of contentTables(features)) {
    const names = readRows<{ name: string }>(sql, query, table).map(({ name }) => name);
    assert.deepEqual(names, key, table);
  }
});

test("an object is kept until all that is awaited in it is empty", () => {
  const { sql, change, features: own } = fullLedger();
  const waits = left(sql, ["awaited"]);
  const expected = ["outbox", "flights", "generations", "closed_sessions", "void_leases", "events"];
  assert.deepEqual(waits, [...expected, "announce", "release", "announce-to-search", "backlog"]);
  for (const name of waits) {
    assert(awaitsAny(sql, own), name);
    change((tx) => {
      if (tablesIn(sql).includes(name)) tx.write(`DELETE FROM ${name}`);
      else tx.write("DELETE FROM due WHERE kind = ?", name);
    });
  }
  assert(!awaitsAny(sql, own));
});
