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
import type { Schema } from "../schema.ts";
import { hasRow, type TransactionalStorage, type Tx } from "../sql.ts";

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
  /** Has the repository announced to the object that finds repositories, as what it finds has changed. */
  announceSoon: (tx: Tx) => void;
};

/**
 * What happens to a table, or to scheduled jobs, when the repository is deleted:
 *
 * - `emptied`: it is emptied in the transaction of the deletion.
 * - `drained`: its rows still have to be sent to other objects or stores. The deletion is complete once it is empty.
 * - `emptied last`: it is emptied when the deletion is complete.
 * - `remembered`: it outlives the repository, and the object is kept until it is empty.
 * - `kept`: it is kept as long as the object, or as a table that it depends on.
 */
export type AtDeletion = "emptied" | "drained" | "emptied last" | "remembered" | "kept";

/** A job. It is run with the rows that are due: rows of the table `due`, or of another table by a column of its own. */
export type Job = { atDeletion: AtDeletion; run: DueJob; column?: DueColumn };

/** A feature. */
export interface Feature {
  readonly tables: Readonly<Record<string, AtDeletion>>;
  /** SQL by the version of the ledger's schema that it creates. Released steps are never changed. */
  readonly steps: Readonly<Record<number, string>>;
  /** Jobs by kind. */
  readonly jobs: Readonly<Record<string, Job>>;
  /** Called in the transaction that deletes the repository, before any table is changed. */
  beforeDeletion?(tx: Tx): void;
  /** Called in the transaction that completes the deletion. */
  afterDeletion?(tx: Tx): void;
}

/** The schema steps of all features. */
export function schemaOf(features: readonly Feature[]): Schema {
  const versions = features.flatMap(({ steps }) => Object.keys(steps).map(Number));
  return Array.from({ length: Math.max(...versions) }, (_, index) =>
    features.map(({ steps }) => steps[index + 1] ?? "").join(""),
  );
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

/** Deletes the contents of a repository, and schedules the messages to others. */
export function deleteContent(tx: Tx, features: readonly Feature[]): void {
  for (const feature of features) feature.beforeDeletion?.(tx);
  empty(tx, features, "emptied");
}

/** Whether a deletion is complete: all objects and stores that are concerned have been told. */
export function isDrained(sql: SqlStorage, features: readonly Feature[]): boolean {
  const tables = tablesWith(features, "drained");
  const kinds = JSON.stringify(jobsWith(features, "drained"));
  const isDue = hasRow(
    sql,
    "SELECT 1 FROM due WHERE kind IN (SELECT value FROM json_each(?)) LIMIT 1",
    kinds,
  );
  return !isDue && !tables.some((table) => hasRow(sql, `SELECT 1 FROM ${table} LIMIT 1`));
}

/**
 * Resets a ledger after its deletion is complete. It keeps what is `remembered`, and how far its sequence numbers got.
 */
export function endDeletion(tx: Tx, features: readonly Feature[]): void {
  empty(tx, features, "emptied last");
  for (const feature of features) feature.afterDeletion?.(tx);
}

/** Whether a ledger without a repository still has something to remember. */
export function remembersAny(sql: SqlStorage, features: readonly Feature[]): boolean {
  const tables = [...tablesWith(features, "remembered"), ...tablesWith(features, "emptied last")];
  return tables.some((table) => hasRow(sql, `SELECT 1 FROM ${table} LIMIT 1`));
}

function empty(tx: Tx, features: readonly Feature[], when: AtDeletion): void {
  const kinds = JSON.stringify(jobsWith(features, when));
  tx.write("DELETE FROM due WHERE kind IN (SELECT value FROM json_each(?))", kinds);
  for (const table of tablesWith(features, when)) tx.write(`DELETE FROM ${table}`);
}

function allJobs(features: readonly Feature[]): [kind: string, job: Job][] {
  return features.flatMap(({ jobs }) => Object.entries(jobs));
}

function jobsWith(features: readonly Feature[], atDeletion: AtDeletion): string[] {
  return allJobs(features).flatMap(([kind, job]) => (job.atDeletion === atDeletion ? [kind] : []));
}

function tablesWith(features: readonly Feature[], atDeletion: AtDeletion): string[] {
  return features.flatMap(({ tables }) =>
    Object.keys(tables).filter((table) => tables[table] === atDeletion),
  );
}
