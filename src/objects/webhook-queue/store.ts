/**
 * How the queue of a webhook keeps events: those that wait, by repository; the latest tries; and those given up.
 */
import type { RegistryEvent } from "../../oci/event.ts";
import type { Page } from "../../rpc/api.ts";
import type { DeadLetter, Delivery, QueueState, TryCounts, Webhook } from "../../rpc/webhooks-api.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import {
  firstRow,
  hasRow,
  hasTable,
  oneRow,
  readRows,
  type TransactionalStorage,
  type Tx,
  transaction,
} from "../sql.ts";

const tables = `
  CREATE TABLE webhook (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL, dropped INTEGER NOT NULL);
  CREATE TABLE waiting (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    event TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX waiting_by_repository ON waiting (repository, sequence);
  CREATE TABLE deliveries (sequence INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT NOT NULL);
  CREATE TABLE dead_letters (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    letter TEXT NOT NULL
  );
`;

/** For the metrics: the deliveries themselves are kept for a while only. */
const tries = `
  ALTER TABLE webhook ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE webhook ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE webhook ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
`;

/** The tables. */
export const queueSchema: Schema = [tables + DueTable.schema, tries, DueTable.dropIndex];

/** The columns in which tries are counted. */
const triesColumns = { delivered: "delivered", failed: "failed", "given up": "given_up" } as const;

/** How many events may wait; what comes beyond that is a dead letter at once. */
const maxWaiting = 10_000;

/** How many dead letters are kept: the latest. */
const maxDeadLetters = 10_000;

/** The outcomes of how many tries are kept: the latest. */
const maxDeliveries = 200;

/** The job of the `due` table that sends the waiting events of a repository, which is its id. */
export const sendJob = "send";

/** The row of the `due` table that says when the tables of an emptied queue are deleted. */
const forgetJob = "forget";

/** An event that waits. `attempts`: how often it was tried. */
export type Waiting = { sequence: number; event: RegistryEvent; attempts: number };

/** The queue in SQL. A queue that has heard nothing has no tables. */
export class QueueStore {
  readonly #sql: SqlStorage;

  constructor(storage: TransactionalStorage) {
    this.#sql = storage.sql;
    if (this.#hasTables()) transaction(storage, (tx) => applySchema(tx, queueSchema));
  }

  #hasTables(): boolean {
    return hasTable(this.#sql, "webhook");
  }

  /** Whether the queue knows its webhook, and has not been emptied. */
  exists(): boolean {
    return this.#hasTables() && hasRow(this.#sql, "SELECT 1 FROM webhook");
  }

  /** Deletes all rows, and schedules the deletion of the tables. */
  empty(tx: Tx, forgetAt: number): void {
    for (const table of ["webhook", "waiting", "deliveries", "dead_letters", "due"]) {
      tx.write(`DELETE FROM ${table}`);
    }
    tx.write("INSERT INTO due (kind, id, at) VALUES (?, '', ?)", forgetJob, forgetAt);
  }

  /** Whether it has been emptied, and its tables are not to be deleted yet. */
  isKeptEmpty(now: number): boolean {
    if (!this.isEmptied()) return false;
    return hasRow(this.#sql, "SELECT 1 FROM due WHERE kind = ? AND at > ?", forgetJob, now);
  }

  /** Whether it has been emptied, for good. */
  isEmptied(): boolean {
    return this.#hasTables() && !this.exists();
  }

  /** Keeps the webhook. Returns whether it has changed. */
  setWebhook(tx: Tx, webhook: Webhook): boolean {
    applySchema(tx, queueSchema);
    const value = JSON.stringify(webhook);
    const known = firstRow<{ value: string }>(this.#sql, "SELECT value FROM webhook");
    tx.write(
      `INSERT INTO webhook (only, value, dropped) VALUES (1, ?, 0)
       ON CONFLICT DO UPDATE SET value = excluded.value`,
      value,
    );
    return known?.value !== value;
  }

  webhook(): Webhook {
    return JSON.parse(oneRow<{ value: string }>(this.#sql, "SELECT value FROM webhook").value);
  }

  /** Adds an event at the end, unless it is waiting. Returns false where there is no room for it. */
  add(tx: Tx, event: RegistryEvent): boolean {
    if (this.#count("waiting") >= maxWaiting) return false;
    tx.write(
      "INSERT OR IGNORE INTO waiting (id, repository, event) VALUES (?, ?, ?)",
      event.id,
      event.repository,
      JSON.stringify(event),
    );
    return true;
  }

  /** The next event of a repository, after the one with this sequence number. */
  next(repository: string, after: number): Waiting | undefined {
    const row = firstRow<{ sequence: number; event: string; attempts: number }>(
      this.#sql,
      "SELECT sequence, event, attempts FROM waiting WHERE repository = ? AND sequence > ? ORDER BY sequence LIMIT 1",
      repository,
      after,
    );
    return row && { ...row, event: JSON.parse(row.event) };
  }

  setAttempts(tx: Tx, { sequence }: Waiting, attempts: number): void {
    tx.write("UPDATE waiting SET attempts = ? WHERE sequence = ?", attempts, sequence);
  }

  remove(tx: Tx, { sequence }: Waiting): void {
    tx.write("DELETE FROM waiting WHERE sequence = ?", sequence);
  }

  /** Makes the repositories due that have something waiting: all of them, or those that are not due at all. */
  schedule(tx: Tx, at: number, which: "all" | "new"): void {
    tx.write(
      `INSERT INTO due (kind, id, at) SELECT DISTINCT ?, repository, ? FROM waiting WHERE true
       ON CONFLICT DO ${which === "all" ? "UPDATE SET at = excluded.at" : "NOTHING"}`,
      sendJob,
      at,
    );
  }

  /** Makes nothing due: a disabled webhook sends nothing. */
  unschedule(tx: Tx): void {
    tx.write("DELETE FROM due WHERE kind = ?", sendJob);
  }

  /** Repositories of which something is due, those that have been due longest first. */
  dueRepositories(now: number, limit: number): string[] {
    return readRows<{ id: string }>(
      this.#sql,
      "SELECT id FROM due WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?",
      sendJob,
      now,
      limit,
    ).map((row) => row.id);
  }

  addDelivery(tx: Tx, delivery: Delivery): void {
    const column = triesColumns[delivery.outcome];
    tx.write(`UPDATE webhook SET ${column} = ${column} + 1`);
    tx.write("INSERT INTO deliveries (delivery) VALUES (?)", JSON.stringify(delivery));
    tx.write(
      "DELETE FROM deliveries WHERE sequence <= (SELECT max(sequence) FROM deliveries) - ?",
      maxDeliveries,
    );
  }

  deliveries(limit: number): Delivery[] {
    return readRows<{ delivery: string }>(
      this.#sql,
      "SELECT delivery FROM deliveries ORDER BY sequence DESC LIMIT ?",
      limit,
    ).map((row) => JSON.parse(row.delivery));
  }

  /** Keeps a dead letter; the oldest makes room where there are too many. */
  addDeadLetter(tx: Tx, letter: DeadLetter): void {
    tx.write(
      "INSERT OR REPLACE INTO dead_letters (id, letter) VALUES (?, ?)",
      letter.event.id,
      JSON.stringify(letter),
    );
    if (this.#count("dead_letters") <= maxDeadLetters) return;
    tx.write("DELETE FROM dead_letters WHERE sequence = (SELECT min(sequence) FROM dead_letters)");
    tx.write("UPDATE webhook SET dropped = dropped + 1");
  }

  deadLetter(id: string): DeadLetter | undefined {
    const row = firstRow<{ letter: string }>(this.#sql, "SELECT letter FROM dead_letters WHERE id = ?", id);
    return row && JSON.parse(row.letter);
  }

  /** A page of dead letters, newest first, after that of an event. */
  deadLetters(last: string, limit: number): Page<DeadLetter> {
    const found = readRows<{ letter: string }>(
      this.#sql,
      `SELECT letter FROM dead_letters
         WHERE ? = '' OR sequence < (SELECT sequence FROM dead_letters WHERE id = ?)
         ORDER BY sequence DESC LIMIT ?`,
      last,
      last,
      limit + 1,
    );
    const entries = found.slice(0, limit).map((row): DeadLetter => JSON.parse(row.letter));
    return { entries, more: found.length > limit };
  }

  removeDeadLetter(tx: Tx, id: string): void {
    tx.write("DELETE FROM dead_letters WHERE id = ?", id);
  }

  state(): QueueState {
    const { dropped } = oneRow<{ dropped: number }>(this.#sql, "SELECT dropped FROM webhook");
    return { waiting: this.#count("waiting"), deadLetters: this.#count("dead_letters"), dropped };
  }

  tries(): TryCounts {
    const { given_up: givenUp, ...others } = oneRow<{ delivered: number; failed: number; given_up: number }>(
      this.#sql,
      "SELECT delivered, failed, given_up FROM webhook",
    );
    return { ...others, "given up": givenUp };
  }

  #count(table: "waiting" | "dead_letters"): number {
    return oneRow<{ count: number }>(this.#sql, `SELECT count(*) AS count FROM ${table}`).count;
  }
}
