/**
 * How the tables of an object change from one release to the next.
 *
 * A schema is a list of steps, the oldest first. An object that opens data of an earlier release takes the steps that
 * are new to it. Steps are only ever added at the end: every later release must be able to open what a release wrote.
 *
 * For the way back, the data records its version beside the number of its steps: how many steps a release must know to
 * open it. That is the number of the last step that is not {@link compatible}.
 */
import { firstRow, hasTable, type Tx } from "./sql.ts";

/**
 * A step: SQL that makes or changes tables, in one statement or several. The first step must tolerate tables that exist.
 *
 * `compatible`: a release that took all steps before, but does not know this one, still reads and writes the data
 * correctly; and this step and its release tolerate what such a release wrote after it. A new table, index, or column
 * that may be null usually is. Code that stores values in old columns that earlier releases misread needs a step that is
 * not, even if the step has no SQL.
 */
export type Step = string | { compatible: string };

/** The steps of an object's tables. */
export type Schema = readonly Step[];

/** What the data records: how many steps it has taken, and how many a release must know to open it. */
type State = { steps: number; version: number };

/** SQL of a step. */
export function sqlOf(step: Step): string {
  return typeof step === "string" ? step : step.compatible;
}

/** The version of data that has taken all steps of a schema. */
export function versionOf(schema: Schema): number {
  return schema.findLastIndex((step) => typeof step === "string") + 1;
}

/** What the object's data has taken; nothing if it is new, or older than this record. */
function stateOf(sql: SqlStorage): State {
  if (!hasTable(sql, "schema_version")) return { steps: 0, version: 0 };
  // Releases that do not know of compatible steps have no second column, or write none.
  type Row = { version: number; steps?: number | null };
  const { version = 0, steps } = firstRow<Row>(sql, "SELECT * FROM schema_version") ?? {};
  return { version, steps: steps ?? version };
}

/** How many steps a release must know to open the object's data; 0 if there is none. */
export function dataVersion(sql: SqlStorage): number {
  return stateOf(sql).version;
}

/**
 * Takes the steps that the object's data has not taken.
 *
 * @throws Error if the data was written by a later release, which this one could damage.
 */
export function applySchema(tx: Tx, schema: Schema): void {
  const { steps, version } = stateOf(tx.sql);
  if (version > schema.length) {
    throw new Error(
      `the data has schema version ${version}, and this release knows ${schema.length}: it was written by a later release`,
    );
  }
  if (steps >= schema.length) return;
  const changes = schema.slice(steps).map(sqlOf);
  for (const sql of changes) if (sql !== "") tx.write(sql);
  writeState(tx, schema);
}

/**
 * Makes the tables of a new object at once, as all steps together would. In objects that are many and live for one
 * push, each table that a later step replaces would be billed as rows.
 */
export function createWhole(tx: Tx, schema: Schema, whole: string): void {
  tx.write(whole);
  writeState(tx, schema);
}

function writeState(tx: Tx, schema: Schema): void {
  // That of an earlier release has one column.
  tx.write("DROP TABLE IF EXISTS schema_version");
  tx.write("CREATE TABLE schema_version (version INTEGER NOT NULL, steps INTEGER)");
  const write = "INSERT INTO schema_version (version, steps) VALUES (?, ?)";
  tx.write(write, versionOf(schema), schema.length);
}
