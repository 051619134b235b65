import assert from "node:assert/strict";
import test from "node:test";
import { applySchema, createWhole } from "../../src/objects/schema.ts";
import { uploadSchema, wholeUpload } from "../../src/objects/upload/schema.ts";
import { memorySql } from "../support/sqlite.ts";

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
  const [stepped, whole] = [memorySql(), memorySql()];
  applySchema(stepped, uploadSchema);
  createWhole(whole, uploadSchema, wholeUpload);
  assert.deepEqual(shapeOf(whole), shapeOf(stepped));
  assert.deepEqual(Object.keys(shapeOf(whole)), ["session_pieces", "sessions", "sessions_by_time"]);
  // It takes no step again.
  applySchema(whole, uploadSchema);
});
