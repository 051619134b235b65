/**
 * How the tables of an object change from one release to the next.
 *
 * A schema is a list of steps, the oldest first; an object that opens data of an earlier release takes the steps it
 * has not taken. Steps are only ever added at the end: what a release wrote, all later ones must open.
 */
import { firstRow, hasTable, type Tx } from "./sql.ts";

/** Steps that make or change tables, each a list of SQL statements; the first must bear with tables that exist. */
export type Schema = readonly string[];

const versionTable = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)";

/** How many steps the object's data has taken; 0 where it is new, or older than this count. */
function schemaVersion(sql: SqlStorage): number {
  if (!hasTable(sql, "schema_version")) return 0;
  return firstRow<{ version: number }>(sql, "SELECT version FROM schema_version")?.version ?? 0;
}

/**
 * Takes the steps that the object's data has not taken.
 *
 * @throws Error where the data was written by a later release, which this one could damage.
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
 * Makes the tables of a new object as all steps together would: in objects that are many and live for a push, each table
 * that a later step replaces is rows of their bill.
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
