/**
 * How webhooks are kept, and the events that their queues have not taken over yet.
 */
import type { RegistryEvent } from "../../oci/event.ts";
import type { Webhook } from "../../rpc/webhooks-api.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import {
  eachRow,
  hasRow,
  readRows,
  type TransactionalStorage,
  type Tx,
  takeBytes,
  transaction,
} from "../sql.ts";

const tables = `
  -- A webhook as JSON, with the secret that signs what is sent to it.
  CREATE TABLE webhooks (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE outgoing (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL,
    id TEXT NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (webhook, id)
  );
  CREATE INDEX outgoing_in_order ON outgoing (webhook, sequence);
`;

/** The tables. */
export const webhooksSchema: Schema = [tables + DueTable.schema, DueTable.dropIndex];

/** Webhooks and outgoing events in SQL. */
export class WebhookStore {
  readonly #sql: SqlStorage;
  #known: Webhook[] | undefined;

  constructor(storage: TransactionalStorage) {
    this.#sql = storage.sql;
    transaction(storage, (tx) => applySchema(tx, webhooksSchema));
  }

  /** All webhooks, in the order of their making. */
  all(): Webhook[] {
    this.#known ??= readRows<{ value: string }>(this.#sql, "SELECT value FROM webhooks")
      .map((row): Webhook => JSON.parse(row.value))
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
    return this.#known;
  }

  read(id: string): Webhook | undefined {
    return this.all().find((webhook) => webhook.id === id);
  }

  write(tx: Tx, webhook: Webhook): void {
    this.#known = undefined;
    tx.write(
      "INSERT OR REPLACE INTO webhooks (id, value) VALUES (?, ?)",
      webhook.id,
      JSON.stringify(webhook),
    );
  }

  /** Deletes a webhook with what it had still to be told. Returns whether there was one. */
  delete(tx: Tx, id: string): boolean {
    this.#known = undefined;
    tx.write("DELETE FROM outgoing WHERE webhook = ?", id);
    return tx.write("DELETE FROM webhooks WHERE id = ? RETURNING id", id).length > 0;
  }

  /** Adds an event for a webhook; one that is there already is not added again. */
  addOutgoing(tx: Tx, webhook: string, event: RegistryEvent): void {
    tx.write(
      "INSERT OR IGNORE INTO outgoing (webhook, id, event) VALUES (?, ?, ?)",
      webhook,
      event.id,
      JSON.stringify(event),
    );
  }

  /** The first events that a webhook has still to be told, and the place of the last of them. */
  outgoing(webhook: string, limit: number): { events: RegistryEvent[]; last: number } {
    const found = eachRow<{ sequence: number; event: string }>(
      this.#sql,
      "SELECT sequence, event FROM outgoing WHERE webhook = ? ORDER BY sequence LIMIT ?",
      webhook,
      limit,
    );
    const taken = takeBytes(found, ({ event }) => event.length);
    return { events: taken.map((row) => JSON.parse(row.event)), last: taken.at(-1)?.sequence ?? 0 };
  }

  hasOutgoing(webhook: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM outgoing WHERE webhook = ? LIMIT 1", webhook);
  }

  /** Forgets what the webhook's queue has taken over: events up to a place. */
  deleteOutgoing(tx: Tx, webhook: string, last: number): void {
    tx.write("DELETE FROM outgoing WHERE webhook = ? AND sequence <= ?", webhook, last);
  }
}
