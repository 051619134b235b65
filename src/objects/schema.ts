/**
 * How the tables of an object change from one release to the next.
 *
 * A schema is a list of steps, the oldest first. An object that opens data of an earlier release takes the steps that
 * are new to it. Steps are only ever added at the end: every later release must be able to open what a release wrote.
 */
import { firstRow, hasTable, type Tx } from "./sql.ts";

/** Steps that make or change tables, each a list of SQL statements. The first step must tolerate tables that exist. */
export type Schema = readonly string[];

const versionTable = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)";

/** How many steps the object's data has taken; 0 if it is new, or older than this count. */
function schemaVersion(sql: SqlStorage): number {
  if (!hasTable(sql, "schema_version")) return 0;
  return firstRow<{ version: number }>(sql, "SELECT version FROM schema_version")?.version ?? 0;
}

/**
 * Takes the steps that the object's data has not taken.
 *
 * @throws Error if the data was written by a later release, which this one could damage.
 */
export function applySchema(tx: Tx, schema: Schema): void {
  const version = schemaVersion(tx.sql);
  if (version > schema.length) {
    throw new Error(
      `the data has schema version ${version}, and this release knows ${schema.length}: it was written by a later release`,
    );
  }
  if (version === schema.length) return;
  for (const step of schema.slice(version)) tx.write(step);
  writeVersion(tx, schema);
}

/**
 * Makes the tables of a new object at once, as all steps together would. In objects that are many and live for one
 * push, each table that a later step replaces would be billed as rows.
 */
export function createWhole(tx: Tx, schema: Schema, whole: string): void {
  tx.write(whole);
  writeVersion(tx, schema);
}

function writeVersion(tx: Tx, schema: Schema): void {
  tx.write(versionTable);
  tx.write("DELETE FROM schema_version");
  tx.write("INSERT INTO schema_version (version) VALUES (?)", schema.length);
}
