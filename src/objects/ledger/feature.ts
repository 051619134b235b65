/**
 * What a feature of a ledger is: its tables, the steps of the schema that lead to them, what it does later, and what
 * becomes of all that when the repository is deleted. Each feature is a class in a file of its own, and parts.ts lists
 * them. What concerns all of them is made from that list, so that no feature can be left out.
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

/** What all features work with. */
export type LedgerHost = {
  env: Env;
  storage: TransactionalStorage;
  sql: SqlStorage;
  clock: Clock;
  settings: Settings;
  due: DueTable;
  /** `undefined` on one machine. */
  replica: Replica | undefined;
  /** What collection has taken away here. */
  tally: Tally;
  /** The name of the repository, once there is a ledger. */
  name: () => RepositoryName;
};

/**
 * What becomes of a table, or of what is due, when the repository is deleted:
 *
 * - `emptied`: it is emptied in the transaction of the deletion.
 * - `drained`: others have still to be told what it says. The deletion is over once it is empty.
 * - `emptied last`: it is emptied when the deletion is over.
 * - `remembered`: it outlives the repository, and the object stays until it is empty.
 * - `kept`: it stays for as long as the object does, or a table that it depends on.
 */
export type AtDeletion = "emptied" | "drained" | "emptied last" | "remembered" | "kept";

/** What is done later, with rows that are due: those of the table `due`, or of another one by a column of theirs. */
export type Job = { atDeletion: AtDeletion; run: DueJob; column?: DueColumn };

/** A feature. */
export interface Feature {
  readonly tables: Readonly<Record<string, AtDeletion>>;
  /** SQL by the version of the ledger's schema that it leads to. What was released is never changed. */
  readonly steps: Readonly<Record<number, string>>;
  /** By the kind of their rows. */
  readonly jobs: Readonly<Record<string, Job>>;
  /** Is called in the transaction that deletes the repository, while all tables are as they were. */
  beforeDeletion?(tx: Tx): void;
  /** Is called in the transaction in which the deletion is over. */
  afterDeletion?(tx: Tx): void;
}

/** The steps to the tables of all features. */
export function schemaOf(features: readonly Feature[]): Schema {
  const versions = features.flatMap(({ steps }) => Object.keys(steps).map(Number));
  return Array.from({ length: Math.max(...versions) }, (_, index) =>
    features.map(({ steps }) => steps[index + 1] ?? "").join(""),
  );
}

/** What is done later, in the order of the features: one leads to the next. */
export function jobsOf(features: readonly Feature[]): Record<string, DueJob> {
  return Object.fromEntries(allJobs(features).map(([kind, { run }]) => [kind, run]));
}

/** Which jobs are due by a column of another table. */
export function columnsOf(features: readonly Feature[]): Record<string, DueColumn> {
  return Object.fromEntries(
    allJobs(features).flatMap(([kind, { column }]) => (column === undefined ? [] : [[kind, column]])),
  );
}

/** Deletes what a repository holds, and has others told. */
export function deleteContent(tx: Tx, features: readonly Feature[]): void {
  for (const feature of features) feature.beforeDeletion?.(tx);
  empty(tx, features, "emptied");
}

/** Whether everybody who has to know of a deletion knows. */
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
 * Makes a ledger whose deletion is over one that was never founded. It still knows what is remembered, and how far its
 * sequence numbers got.
 */
export function endDeletion(tx: Tx, features: readonly Feature[]): void {
  empty(tx, features, "emptied last");
  for (const feature of features) feature.afterDeletion?.(tx);
}

/** Whether a ledger without a repository still has to know something. */
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
