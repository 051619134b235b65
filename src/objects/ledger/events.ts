/**
 * The ledger's events: written in the transaction of what happened, and handed to `Webhooks` in their order.
 *
 * With its answer, `Webhooks` says for how long nobody is going to listen, as whoever makes a webhook waits for that
 * long. In that time none is written. Requests that come before a push let the ledger ask, so that it knows in time; else
 * the first event of a burst is written, and handed over to hear that nobody wanted it.
 */

import { createHash } from "node:crypto";
import { log } from "../../log.ts";
import type { EventTarget, EventType, Origin, RegistryEvent } from "../../oci/event.ts";
import type { WebhooksApi } from "../../rpc/webhooks-api.ts";
import { eachRow, hasRow, hasTable, oneRow, type Tx, takeBytes, transaction } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job of the `due` table that hands events over. */
const eventsJob = "events";

const batchSize = 100;
const retryMs = 5_000;

/** How long events wait for others while somebody listens, so that a burst of pushes is one call. */
const gatherMs = 250;
/** Whoever writes an event hands it over at once; where the object died before it did, the alarm does, after this time. */
const alarmAfterMs = 30_000;

/** What an event log works with. */
type EventHost = Pick<LedgerHost, "storage" | "sql" | "due" | "clock" | "name">;

/** The events of one ledger that are not handed over yet. */
export class EventLog implements Feature {
  readonly tables = { events: "drained" } as const;

  readonly steps = {
    // An event holds all but the repository's name.
    3: `
  CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL);
`,
    // Events leave in their order, so that a number may be used again: the count of them was a row more for each.
    7: `
  CREATE TABLE plain_events (sequence INTEGER PRIMARY KEY, event TEXT NOT NULL);
  INSERT INTO plain_events SELECT sequence, event FROM events;
  DROP TABLE events;
  ALTER TABLE plain_events RENAME TO events;
`,
  };

  readonly jobs = { [eventsJob]: { atDeletion: "kept", run: () => this.flush(this.#host.name()) } } as const;

  readonly #host: EventHost;
  readonly #webhooks: () => WebhooksApi;
  #isListening = false;
  /** Until then no event is written: nobody is going to listen. */
  #quietUntil = 0;
  /** When to ask again, if somebody comes who is going to push. */
  #askAfter = 0;
  #isAsking = false;
  #isGathering = false;
  #flushing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(host: EventHost, webhooks: () => WebhooksApi) {
    this.#host = host;
    this.#webhooks = webhooks;
  }

  /** Writes an event down, unless nobody is going to listen. */
  record(tx: Tx, type: EventType, origin: Origin, target: EventTarget): void {
    const now = this.#host.clock.now();
    if (now < this.#quietUntil) return;
    const event = {
      id: eventId(type, origin, target),
      type,
      time: new Date(now).toISOString(),
      target,
      origin,
    };
    tx.write("INSERT INTO events (event) VALUES (?)", JSON.stringify(event));
    if (this.#host.due.at(eventsJob, "") === undefined)
      this.#host.due.set(tx, eventsJob, "", now + alarmAfterMs);
  }

  /** Whether all events are handed over. */
  isEmpty(): boolean {
    return !hasRow(this.#host.sql, "SELECT 1 FROM events LIMIT 1");
  }

  /** How many events could not be handed over; those that merely wait for others are not among them. */
  backlog(): number {
    if (!this.#hasFailed) return 0;
    return oneRow<{ count: number }>(this.#host.sql, "SELECT count(*) AS count FROM events").count;
  }

  /** Asks who listens, where that is not known for long: somebody is going to push. Never throws. */
  async ask(repository: string): Promise<void> {
    if (this.#isAsking || this.#isListening || this.#host.clock.now() < this.#askAfter) return;
    this.#isAsking = true;
    try {
      await this.#tell(repository, []);
    } catch {
      // Events are written then, and handed over as they would be otherwise.
    } finally {
      this.#isAsking = false;
    }
  }

  async #tell(repository: string, events: RegistryEvent[]): Promise<void> {
    const askedAt = this.#host.clock.now();
    const { isListening, quietMs = 0 } = await this.#webhooks().accept(repository, events);
    this.#isListening = isListening;
    this.#quietUntil = askedAt + quietMs;
    this.#askAfter = askedAt + quietMs / 2;
  }

  /** Hands events over, in a moment if somebody listened last time. What fails, the alarm repeats. Never throws. */
  async flushSoon(repository: string): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    try {
      while (this.#exists() && !this.#hasFailed && !this.isEmpty()) {
        if (this.#isListening) await scheduler.wait(gatherMs);
        // A deleted repository may have told its last, and be gone.
        if (!this.#exists()) return;
        await this.flush(repository, 1);
      }
    } finally {
      this.#isGathering = false;
    }
  }

  /** Hands events over, one batch after the other, so many at most. Never throws. */
  flush(repository: string, maxBatches = Number.POSITIVE_INFINITY): Promise<void> {
    // Who is at it also takes what was written meanwhile.
    this.#flushing ??= this.#handOver(repository, maxBatches).finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #handOver(repository: string, maxBatches: number): Promise<void> {
    try {
      for (let batches = 0, batch = this.#batch(); batch.length > 0; batch = this.#batch()) {
        if (++batches > maxBatches) return;
        const events = batch.map((row): RegistryEvent => ({ ...JSON.parse(row.event), repository }));
        await this.#tell(repository, events);
        const last = batch.at(-1)?.sequence ?? 0;
        this.#change((tx) => tx.write("DELETE FROM events WHERE sequence <= ?", last));
      }
      this.#change((tx) => this.#host.due.clear(tx, eventsJob, ""));
      this.#hasFailed = false;
    } catch (error) {
      log("warn", "events not handed over", { repository, error: String(error) });
      this.#hasFailed = true;
      this.#change((tx) => {
        this.#host.due.set(tx, eventsJob, "", this.#host.clock.now() + retryMs);
        tellBacklogLater(tx, this.#host.due, this.#host.clock.now());
      });
    }
  }

  #change(work: (tx: Tx) => void): void {
    transaction(this.#host.storage, work);
  }

  #exists(): boolean {
    return hasTable(this.#host.sql, "events");
  }

  #batch(): { sequence: number; event: string }[] {
    const found = eachRow<{ sequence: number; event: string }>(
      this.#host.sql,
      "SELECT sequence, event FROM events ORDER BY sequence LIMIT ?",
      batchSize,
    );
    return takeBytes(found, ({ event }) => event.length);
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
