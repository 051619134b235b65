/**
 * The ledger's events: written in the transaction of what happened, and handed to `Webhooks` in their order.
 *
 * Every event is written, whether anybody listens or not: only so is none lost between a webhook's making and the
 * moment that a ledger hears of it. While nobody listens they are handed over a moment later, many at once.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../env.ts";
import type { EventTarget, EventType, Origin, RegistryEvent } from "../../oci/event.ts";
import type { DueTable } from "../due.ts";
import { takeBytes } from "../take-bytes.ts";
import type { WebhooksApi } from "../webhooks-api.ts";
import { tellBacklogLater } from "./backlog.ts";

/** The job of the `due` table that hands events over. */
export const eventsJob = "events";

/** SQL of the table, for the ledger's schema. An event holds all but the repository's name. */
export const eventsSchema = `
  CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL);
`;

const batchSize = 100;
const retryMs = 5_000;

/** How long events wait for others, so that a burst of pushes is one call: while nobody listens, and while somebody does. */
const gatherMs = 1_000;
const gatherHeardMs = 250;

/** The events of one ledger that are not handed over yet. */
export class EventLog {
  readonly #sql: SqlStorage;
  readonly #due: DueTable;
  readonly #clock: Clock;
  readonly #webhooks: () => WebhooksApi;
  #isListening = false;
  #isGathering = false;
  #isFlushing = false;
  #hasFailed = false;

  constructor(sql: SqlStorage, due: DueTable, clock: Clock, webhooks: () => WebhooksApi) {
    this.#sql = sql;
    this.#due = due;
    this.#clock = clock;
    this.#webhooks = webhooks;
  }

  /** Writes an event down. To be called in the transaction of what happened. */
  record(type: EventType, origin: Origin, target: EventTarget): void {
    const now = this.#clock.now();
    const event = {
      id: eventId(type, origin, target),
      type,
      time: new Date(now).toISOString(),
      target,
      origin,
    };
    this.#sql.exec("INSERT INTO events (event) VALUES (?)", JSON.stringify(event));
    if (this.#due.at(eventsJob, "") === undefined) this.#due.set(eventsJob, "", now + gatherMs);
  }

  /** Whether all events are handed over. */
  isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM events LIMIT 1").toArray().length === 0;
  }

  /** How many events could not be handed over; those that merely wait for others are not among them. */
  backlog(): number {
    if (!this.#hasFailed) return 0;
    return this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM events").one().count;
  }

  /** Hands events over in a moment if somebody listened last time; else the alarm will. Never throws. */
  async flushIfHeard(repository: string): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    try {
      while (this.#isListening && !this.#hasFailed && !this.isEmpty()) {
        await scheduler.wait(gatherHeardMs);
        // A deleted repository may have told its last, and be gone.
        if (!this.#exists()) return;
        await this.flush(repository, 1);
      }
    } finally {
      this.#isGathering = false;
    }
  }

  /** Hands events over, one batch after the other, so many at most. Never throws. */
  async flush(repository: string, maxBatches = Number.POSITIVE_INFINITY): Promise<void> {
    // Who is at it also takes what was written meanwhile.
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      for (let batches = 0, rows = this.#batch(); rows.length > 0; rows = this.#batch()) {
        if (++batches > maxBatches) return;
        const events = rows.map((row): RegistryEvent => ({ ...JSON.parse(row.event), repository }));
        const { isListening } = await this.#webhooks().accept(repository, events);
        this.#isListening = isListening;
        this.#sql.exec("DELETE FROM events WHERE sequence <= ?", rows.at(-1)?.sequence ?? 0);
      }
      this.#due.clear(eventsJob, "");
      this.#hasFailed = false;
    } catch (error) {
      console.warn(JSON.stringify({ event: "events not handed over", repository, error: String(error) }));
      this.#due.set(eventsJob, "", this.#clock.now() + retryMs);
      this.#hasFailed = true;
      tellBacklogLater(this.#due, this.#clock.now());
    } finally {
      this.#isFlushing = false;
    }
  }

  #exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'events'").toArray().length > 0;
  }

  #batch(): { sequence: number; event: string }[] {
    const rows = this.#sql.exec<{ sequence: number; event: string }>(
      "SELECT sequence, event FROM events ORDER BY sequence LIMIT ?",
      batchSize,
    );
    return takeBytes(rows, ({ event }) => event.length);
  }
}

/**
 * The id of an event, a UUID. What one request did has the same id each time that its transaction is repeated, as it is
 * when an answer was lost between objects.
 */
function eventId(type: EventType, { requestId }: Origin, { digest, tag }: EventTarget): string {
  if (requestId === "") return crypto.randomUUID();
  const hash = createHash("sha256")
    .update(`${requestId}\n${type}\n${digest ?? ""}\n${tag ?? ""}`)
    .digest();
  // RFC 9562, section 5.8: version 8 is for such ids.
  const hex = hash.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
