/**
 * How the tables of an object change from one release to the next.
 *
 * A schema is a list of steps, the oldest first; an object that opens data of an earlier release takes the steps it
 * has not taken. Steps are only ever added at the end: what a release wrote, all later ones must open.
 */

/** Steps that make or change tables, each a list of SQL statements; the first must bear with tables that exist. */
export type Schema = readonly string[];

const versionTable = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)";

/** How many steps the object's data has taken; 0 where it is new, or older than this count. */
function schemaVersion(sql: SqlStorage): number {
  const isCounted =
    sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").toArray().length > 0;
  if (!isCounted) return 0;
  return sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray()[0]?.version ?? 0;
}

/**
 * Takes the steps that the object's data has not taken. It awaits nothing, so that the platform writes all of them
 * or none.
 *
 * @throws Error where the data was written by a later release, which this one could damage.
 */
export function applySchema(sql: SqlStorage, schema: Schema): void {
  const version = schemaVersion(sql);
  if (version > schema.length) {
    throw new Error(
      `the data has schema version ${version}, and this release knows ${schema.length}: it was written by a later release`,
    );
  }
  if (version === schema.length) return;
  for (const step of schema.slice(version)) sql.exec(step);
  writeVersion(sql, schema);
}

/**
 * Makes the tables of a new object as all steps together would: in objects that are many and live for a push, each table
 * that a later step replaces is rows of their bill.
 */
export function createWhole(sql: SqlStorage, schema: Schema, whole: string): void {
  sql.exec(whole);
  writeVersion(sql, schema);
}

function writeVersion(sql: SqlStorage, schema: Schema): void {
  sql.exec(versionTable);
  sql.exec("DELETE FROM schema_version");
  sql.exec("INSERT INTO schema_version (version) VALUES (?)", schema.length);
}
