import assert from "node:assert/strict";
import test from "node:test";
import { DueTable } from "../../src/objects/due.ts";
import { applySchema, createWhole } from "../../src/objects/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import { UploadTables, uploadSchema, wholeUpload } from "../../src/objects/upload/schema.ts";
import { UploadStore } from "../../src/objects/upload/store.ts";
import { memoryStorage } from "../support/sqlite.ts";

/** The tables of a release whose objects kept one session each, with one in them. */
function earlierTables(jobs: string[]): DurableObjectStorage {
  const storage = memoryStorage();
  const { sql } = storage;
  sql.exec(`
    CREATE TABLE session (
      only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL, repository TEXT NOT NULL, algorithm TEXT NOT NULL,
      state TEXT NOT NULL, key TEXT NOT NULL, upload_id TEXT, part_bytes INTEGER NOT NULL, offset INTEGER NOT NULL,
      digest TEXT, origin TEXT
    );
    CREATE TABLE parts (number INTEGER PRIMARY KEY, etag TEXT NOT NULL);
    CREATE TABLE tail (row INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE schema_version (version INTEGER NOT NULL);
    INSERT INTO schema_version VALUES (2);
    INSERT INTO session VALUES (1, 'a', 'team/app', 'sha256', 'open', 'blobs/a.b', 'u', 5, 13, NULL, NULL);
    INSERT INTO parts VALUES (1, 'one'), (2, 'two');
    INSERT INTO tail VALUES (1, x'0102'), (2, x'03');
    ${DueTable.schema}
  `);
  for (const kind of jobs) sql.exec("INSERT INTO due (kind, id, at) VALUES (?, '', 7)", kind);
  return storage;
}

/** What is due, as `kind id`. */
function dueIn(sql: SqlStorage): string[] {
  const due =
    "SELECT kind, id FROM due UNION ALL SELECT 'session', id FROM sessions WHERE due_at = 7 ORDER BY kind";
  const rows = sql.exec<{ kind: string; id: string }>(due).toArray();
  return rows.map(({ kind, id }) => `${kind} ${id}`);
}

test("a session of a release whose objects kept one goes on where it stood", () => {
  const storage = earlierTables(["expire"]);
  const tables = new UploadTables(storage);
  assert(tables.exist() && !tables.areEmpty());
  const store = new UploadStore(storage.sql, tables, "a");
  assert.deepEqual({ ...store.session() }, { id: "a", repository: "team/app", algorithm: "sha256" });
  assert.equal(store.read().offset, 13);
  assert.deepEqual(
    store.parts().map((part) => ({ ...part })),
    [
      { partNumber: 1, etag: "one" },
      { partNumber: 2, etag: "two" },
    ],
  );
  assert.equal(store.tailLength(), 3);
  assert.deepEqual(dueIn(storage.sql), ["session a"]);
});

for (const [before, after] of [
  [["adopt"], ["adopt a"]],
  [["forget"], ["session a"]],
  [
    ["clean", "forget"],
    ["clean a", "session a"],
  ],
] as const) {
  test(`what was due in such an object, ${before.join(" and ")}, is due about its session`, () => {
    const storage = earlierTables([...before]);
    new UploadTables(storage);
    assert.deepEqual(dueIn(storage.sql), after);
  });
}

/** The columns of each table, and the columns of each index, by their names. */
function shapeOf(sql: SqlStorage): Record<string, unknown> {
  const tables = sql
    .exec<{ name: string; type: string }>("SELECT name, type FROM sqlite_master ORDER BY name")
    .toArray()
    .filter(({ name }) => !/^(sqlite_|schema_version|due)/.test(name));
  return Object.fromEntries(
    tables.map(({ name, type }) => [
      name,
      sql.exec(`SELECT * FROM pragma_${type === "index" ? "index_info" : "table_info"}(?)`, name).toArray(),
    ]),
  );
}

test("a new object's tables are those that the steps from an earlier release's come to", () => {
  const [stepped, whole] = [memoryStorage(), memoryStorage()];
  transaction(stepped, (tx) => applySchema(tx, uploadSchema));
  transaction(whole, (tx) => createWhole(tx, uploadSchema, wholeUpload));
  assert.deepEqual(shapeOf(whole.sql), shapeOf(stepped.sql));
  assert.deepEqual(Object.keys(shapeOf(whole.sql)), ["session_pieces", "sessions", "sessions_by_time"]);
  // It takes no step again.
  transaction(whole, (tx) => applySchema(tx, uploadSchema));
});
