/**
 * How the queue of a webhook keeps events: those that wait, by repository; the latest tries; and those given up.
 */
import type { RegistryEvent } from "../../oci/event.ts";
import type { Page } from "../api.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import type { DeadLetter, Delivery, QueueState, TryCounts, Webhook } from "../webhooks-api.ts";

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

const schema: Schema = [tables + DueTable.schema, tries, DueTable.dropIndex];

/** The columns in which tries are counted. */
const triesColumns = { delivered: "delivered", failed: "failed", "given up": "given_up" } as const;

/** How many events may wait; what comes beyond that is a dead letter at once. */
const maxWaiting = 10_000;

/** How many dead letters are kept: the latest. */
const maxDeadLetters = 10_000;

/** Of how many tries the outcome is kept: the latest. */
const maxDeliveries = 200;

/** The job of the `due` table that sends what waits of the repository that is its id. */
export const sendJob = "send";

/** An event that waits. `attempts`: how often it was tried. */
export type Waiting = { sequence: number; event: RegistryEvent; attempts: number };

/** The queue in SQL. Nothing here opens a transaction. A queue that was told nothing has no tables. */
export class QueueStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    if (this.#hasTables()) applySchema(sql, schema);
  }

  #hasTables(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'webhook'").toArray().length > 0;
  }

  /** Whether the queue was ever told what it is the queue of, and has not been emptied. */
  exists(): boolean {
    return this.#hasTables() && this.#sql.exec("SELECT 1 FROM webhook").toArray().length > 0;
  }

  /** Takes everything out, and makes the tables themselves due to be forgotten at a time. */
  empty(forgetAt: number): void {
    for (const table of ["webhook", "waiting", "deliveries", "dead_letters", "due"]) {
      this.#sql.exec(`DELETE FROM ${table}`);
    }
    this.#sql.exec("INSERT INTO due (kind, id, at) VALUES ('forget', '', ?)", forgetAt);
  }

  /** Whether it has been emptied, for good. */
  isEmptied(): boolean {
    return this.#hasTables() && !this.exists();
  }

  /** Keeps what the webhook is. Returns whether that is news. */
  setWebhook(webhook: Webhook): boolean {
    applySchema(this.#sql, schema);
    const value = JSON.stringify(webhook);
    const [known] = this.#sql.exec<{ value: string }>("SELECT value FROM webhook").toArray();
    this.#sql.exec(
      `INSERT INTO webhook (only, value, dropped) VALUES (1, ?, 0)
       ON CONFLICT DO UPDATE SET value = excluded.value`,
      value,
    );
    return known?.value !== value;
  }

  webhook(): Webhook {
    return JSON.parse(this.#sql.exec<{ value: string }>("SELECT value FROM webhook").one().value);
  }

  /** Adds an event at the end, unless it is waiting. Returns false where there is no room for it. */
  add(event: RegistryEvent): boolean {
    if (this.#count("waiting") >= maxWaiting) return false;
    this.#sql.exec(
      "INSERT OR IGNORE INTO waiting (id, repository, event) VALUES (?, ?, ?)",
      event.id,
      event.repository,
      JSON.stringify(event),
    );
    return true;
  }

  /** The event that is next of a repository's, after the one with this sequence number. */
  next(repository: string, after: number): Waiting | undefined {
    const [row] = this.#sql
      .exec<{ sequence: number; event: string; attempts: number }>(
        "SELECT sequence, event, attempts FROM waiting WHERE repository = ? AND sequence > ? ORDER BY sequence LIMIT 1",
        repository,
        after,
      )
      .toArray();
    return row && { ...row, event: JSON.parse(row.event) };
  }

  setAttempts({ sequence }: Waiting, attempts: number): void {
    this.#sql.exec("UPDATE waiting SET attempts = ? WHERE sequence = ?", attempts, sequence);
  }

  remove({ sequence }: Waiting): void {
    this.#sql.exec("DELETE FROM waiting WHERE sequence = ?", sequence);
  }

  /** Makes the repositories due that have something waiting: all of them, or those that are not due at all. */
  schedule(at: number, which: "all" | "new"): void {
    this.#sql.exec(
      `INSERT INTO due (kind, id, at) SELECT DISTINCT ?, repository, ? FROM waiting WHERE true
       ON CONFLICT DO ${which === "all" ? "UPDATE SET at = excluded.at" : "NOTHING"}`,
      sendJob,
      at,
    );
  }

  /** Makes nothing due: a disabled webhook sends nothing. */
  unschedule(): void {
    this.#sql.exec("DELETE FROM due WHERE kind = ?", sendJob);
  }

  /** Repositories of which something is due, the longest due first. */
  dueRepositories(now: number, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        "SELECT id FROM due WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?",
        sendJob,
        now,
        limit,
      )
      .toArray()
      .map((row) => row.id);
  }

  addDelivery(delivery: Delivery): void {
    const column = triesColumns[delivery.outcome];
    this.#sql.exec(`UPDATE webhook SET ${column} = ${column} + 1`);
    this.#sql.exec("INSERT INTO deliveries (delivery) VALUES (?)", JSON.stringify(delivery));
    this.#sql.exec(
      "DELETE FROM deliveries WHERE sequence <= (SELECT max(sequence) FROM deliveries) - ?",
      maxDeliveries,
    );
  }

  deliveries(limit: number): Delivery[] {
    return this.#sql
      .exec<{ delivery: string }>("SELECT delivery FROM deliveries ORDER BY sequence DESC LIMIT ?", limit)
      .toArray()
      .map((row) => JSON.parse(row.delivery));
  }

  /** Keeps a dead letter; the oldest makes room where there are too many. */
  addDeadLetter(letter: DeadLetter): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO dead_letters (id, letter) VALUES (?, ?)",
      letter.event.id,
      JSON.stringify(letter),
    );
    if (this.#count("dead_letters") <= maxDeadLetters) return;
    this.#sql.exec("DELETE FROM dead_letters WHERE sequence = (SELECT min(sequence) FROM dead_letters)");
    this.#sql.exec("UPDATE webhook SET dropped = dropped + 1");
  }

  deadLetter(id: string): DeadLetter | undefined {
    const [row] = this.#sql
      .exec<{ letter: string }>("SELECT letter FROM dead_letters WHERE id = ?", id)
      .toArray();
    return row && JSON.parse(row.letter);
  }

  /** A page of dead letters, newest first, after that of an event. */
  deadLetters(last: string, limit: number): Page<DeadLetter> {
    const rows = this.#sql
      .exec<{ letter: string }>(
        `SELECT letter FROM dead_letters
         WHERE ? = '' OR sequence < (SELECT sequence FROM dead_letters WHERE id = ?)
         ORDER BY sequence DESC LIMIT ?`,
        last,
        last,
        limit + 1,
      )
      .toArray();
    const entries = rows.slice(0, limit).map((row): DeadLetter => JSON.parse(row.letter));
    return { entries, more: rows.length > limit };
  }

  removeDeadLetter(id: string): void {
    this.#sql.exec("DELETE FROM dead_letters WHERE id = ?", id);
  }

  state(): QueueState {
    const { dropped } = this.#sql.exec<{ dropped: number }>("SELECT dropped FROM webhook").one();
    return { waiting: this.#count("waiting"), deadLetters: this.#count("dead_letters"), dropped };
  }

  tries(): TryCounts {
    const { given_up: givenUp, ...others } = this.#sql
      .exec<{ delivered: number; failed: number; given_up: number }>(
        "SELECT delivered, failed, given_up FROM webhook",
      )
      .one();
    return { ...others, "given up": givenUp };
  }

  #count(table: "waiting" | "dead_letters"): number {
    return this.#sql.exec<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).one().count;
  }
}
