/**
 * A feature of a ledger: its tables, the schema steps that create them, its jobs, and what happens to its data when the
 * repository is deleted. Each feature is a class in a file of its own, and parts.ts lists them. Whatever concerns all
 * features is derived from that list, so that none can be left out.
 */
import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { Tally } from "../../rpc/tally.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Replica } from "../../storage/replica.ts";
import type { DueColumn, DueJob, DueTable } from "../due.ts";
import { type Schema, type Step, sqlOf } from "../schema.ts";
import { hasRow, readRows, type TransactionalStorage, type Tx } from "../sql.ts";

/** What all features share. */
export type LedgerHost = {
  env: Env;
  storage: TransactionalStorage;
  sql: SqlStorage;
  clock: Clock;
  settings: Settings;
  due: DueTable;
  /** `undefined` on one machine. */
  replica: Replica | undefined;
  /** Counts what collection has deleted here. */
  tally: Tally;
  /** The name of the repository, once there is a ledger. */
  name: () => RepositoryName;
  /** Whether manifests may be here without all that they reference: by the settings, or as it comes when it is pulled. */
  isSparse: () => boolean;
  /** Rises whenever something changes by which retention decides on tags. */
  revision: { value: number };
  /** Rises whenever something changes that pages about the repository show, but for days of use and facts. */
  changes: { value: number };
  /** Has the repository announced to the object that finds repositories, as what it finds has changed. `isWhole`: with all its tags, as not only the moves of its tags have changed it. */
  announceSoon: (tx: Tx, isWhole?: boolean) => void;
};

/**
 * A table of content. At a deletion of the repository it is set aside, and an empty one takes its place: so whatever
 * reads and writes the table knows nothing but the current generation (generations.ts).
 *
 * `key`: its primary key. `comesBack`: when its rows do, if the deletion is undone. `rowsAtOnce`: how many rows may be
 * deleted at a time, if they are large. Later releases may add columns to such a table, but not rename or drop them.
 */
export type Content = {
  key: readonly [string, ...string[]];
  comesBack: ComesBack;
  rowsAtOnce?: number;
};

/**
 * When the rows of a table come back, if the deletion of a repository is undone (restoring.ts).
 *
 * - `with its manifest`, `with its tag`: the first column of its key names one, and that is restored.
 * - `at the end`: all of them at once, of which there are few.
 * - `by itself`: statements of restoring.ts bring them back.
 * - `never`: they tell of what happened to the repository that is gone, or are found again.
 */
export type ComesBack = "with its manifest" | "with its tag" | "at the end" | "by itself" | "never";

/**
 * What happens to a table when the repository is deleted, besides {@link Content}. The same words stand for what happens
 * to scheduled jobs.
 *
 * - `cleared` (jobs only): they are about the content that is set aside, and few.
 * - `awaited`: it outlives the repository, and the object is kept until it is empty.
 * - `kept`: it is kept as long as the object, or as a table that it depends on.
 */
export type AtDeletion = "cleared" | "awaited" | "kept";

/** A job. It is run with the rows that are due: rows of the table `due`, or of another table by a column of its own. */
export type Job = { atDeletion: AtDeletion; run: DueJob; column?: DueColumn };

/** A feature. */
export interface Feature {
  readonly tables: Readonly<Record<string, Content | Exclude<AtDeletion, "cleared">>>;
  /** Its part of steps of the ledger's schema, by their numbers. Released steps are never changed. */
  readonly steps: Readonly<Record<number, Step>>;
  /** Jobs by kind. */
  readonly jobs: Readonly<Record<string, Job>>;
}

/** The schema steps of all features. A step is compatible if all its parts are. */
export function schemaOf(features: readonly Feature[]): Schema {
  const numbers = features.flatMap(({ steps }) => Object.keys(steps).map(Number));
  return Array.from({ length: Math.max(...numbers) }, (_, index): Step => {
    const parts = features.map(({ steps }) => steps[index + 1] ?? { compatible: "" });
    const sql = parts.map(sqlOf).join("");
    return parts.some((part) => typeof part === "string") ? sql : { compatible: sql };
  });
}

/** All jobs in the order of the features: a job may make a later one due. */
export function jobsOf(features: readonly Feature[]): Record<string, DueJob> {
  return Object.fromEntries(allJobs(features).map(([kind, { run }]) => [kind, run]));
}

/** Which jobs are due by a column of another table. */
export function columnsOf(features: readonly Feature[]): Record<string, DueColumn> {
  return Object.fromEntries(
    allJobs(features).flatMap(([kind, { column }]) => (column === undefined ? [] : [[kind, column]])),
  );
}

/** The tables of content by their names, or those of them whose rows come back in this way. */
export function contentTables(
  features: readonly Feature[],
  comesBack?: ComesBack,
): [table: string, content: Content][] {
  return features.flatMap(({ tables }) =>
    Object.entries(tables).flatMap(([table, fate]): [string, Content][] =>
      typeof fate === "string" || (comesBack !== undefined && fate.comesBack !== comesBack)
        ? []
        : [[table, fate]],
    ),
  );
}

/** The name of a table of content after its generation was set aside. */
export function asideName(table: string, generation: number): string {
  return `deleted_${generation}_${table}`;
}

/**
 * Sets the content of a generation aside: its tables get other names, which takes the same time however many rows they
 * have. New ones with the same columns and indexes take their places. Jobs that are about the content are cleared.
 */
export function setContentAside(tx: Tx, features: readonly Feature[], generation: number): void {
  const kinds = JSON.stringify(jobsWith(features, "cleared"));
  tx.write("DELETE FROM due WHERE kind IN (SELECT value FROM json_each(?))", kinds);
  for (const [table] of contentTables(features)) {
    const made = `SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL
      ORDER BY type DESC` as const;
    const parts = readRows<{ type: string; sql: string }>(tx.sql, made, table);
    tx.write(`ALTER TABLE ${table} RENAME TO ${asideName(table, generation)}`);
    for (const { type, sql } of parts) tx.write(type === "index" ? withIndexName(sql, generation + 1) : sql);
  }
}

/**
 * An index of the table that was set aside keeps its name, so that of the new table has its generation in it. A step must
 * therefore not drop such an index by its name, which it has only in ledgers whose repository was never deleted.
 */
function withIndexName(sql: string, generation: number): string {
  return sql.replace(/^(CREATE (?:UNIQUE )?INDEX )(\w+?)(?:_of_\d+)?( ON )/, `$1$2_of_${generation}$3`);
}

/** Whether the object has anything left to do or to remember, though there is no repository. */
export function awaitsAny(sql: SqlStorage, features: readonly Feature[]): boolean {
  const kinds = JSON.stringify(jobsWith(features, "awaited"));
  const isDue = "SELECT 1 FROM due WHERE kind IN (SELECT value FROM json_each(?)) LIMIT 1";
  const tables = features.flatMap(({ tables: own }) =>
    Object.keys(own).filter((table) => own[table] === "awaited"),
  );
  return hasRow(sql, isDue, kinds) || tables.some((table) => hasRow(sql, `SELECT 1 FROM ${table} LIMIT 1`));
}

function allJobs(features: readonly Feature[]): [kind: string, job: Job][] {
  return features.flatMap(({ jobs }) => Object.entries(jobs));
}

function jobsWith(features: readonly Feature[], atDeletion: AtDeletion): string[] {
  return allJobs(features).flatMap(([kind, job]) => (job.atDeletion === atDeletion ? [kind] : []));
}
