/**
 * How webhooks are kept, and the events that their queues have not taken over yet.
 */
import type { RegistryEvent } from "../../oci/event.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import { takeBytes } from "../take-bytes.ts";
import type { Webhook } from "../webhooks-api.ts";

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

const schema: Schema = [tables + DueTable.schema, DueTable.dropIndex];

/** Webhooks and outgoing events in SQL. Nothing here opens a transaction. */
export class WebhookStore {
  readonly #sql: SqlStorage;
  #known: Webhook[] | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    applySchema(sql, schema);
  }

  /** All webhooks, in the order of their making. */
  all(): Webhook[] {
    this.#known ??= this.#sql
      .exec<{ value: string }>("SELECT value FROM webhooks")
      .toArray()
      .map((row): Webhook => JSON.parse(row.value))
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
    return this.#known;
  }

  read(id: string): Webhook | undefined {
    return this.all().find((webhook) => webhook.id === id);
  }

  write(webhook: Webhook): void {
    this.#known = undefined;
    this.#sql.exec(
      "INSERT OR REPLACE INTO webhooks (id, value) VALUES (?, ?)",
      webhook.id,
      JSON.stringify(webhook),
    );
  }

  /** Deletes a webhook with what it had still to be told. Returns whether there was one. */
  delete(id: string): boolean {
    this.#known = undefined;
    this.#sql.exec("DELETE FROM outgoing WHERE webhook = ?", id);
    return this.#sql.exec("DELETE FROM webhooks WHERE id = ? RETURNING id", id).toArray().length > 0;
  }

  /** Adds an event for a webhook; one that is there already is not added again. */
  addOutgoing(webhook: string, event: RegistryEvent): void {
    this.#sql.exec(
      "INSERT OR IGNORE INTO outgoing (webhook, id, event) VALUES (?, ?, ?)",
      webhook,
      event.id,
      JSON.stringify(event),
    );
  }

  /** The first events that a webhook has still to be told, and the place of the last of them. */
  outgoing(webhook: string, limit: number): { events: RegistryEvent[]; last: number } {
    const found = this.#sql.exec<{ sequence: number; event: string }>(
      "SELECT sequence, event FROM outgoing WHERE webhook = ? ORDER BY sequence LIMIT ?",
      webhook,
      limit,
    );
    const rows = takeBytes(found, ({ event }) => event.length);
    return { events: rows.map((row) => JSON.parse(row.event)), last: rows.at(-1)?.sequence ?? 0 };
  }

  hasOutgoing(webhook: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outgoing WHERE webhook = ? LIMIT 1", webhook).toArray().length > 0;
  }

  /** Forgets what the webhook's queue has taken over: events up to a place. */
  deleteOutgoing(webhook: string, last: number): void {
    this.#sql.exec("DELETE FROM outgoing WHERE webhook = ? AND sequence <= ?", webhook, last);
  }
}
