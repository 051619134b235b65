/**
 * The ledger's events. An event is written in the transaction of its change, and sent to `Webhooks` in order.
 *
 * `Webhooks` answers for how long nobody will listen: creating a webhook takes that long. During that time no event is
 * written. Requests that precede a push make the ledger ask, so that it knows in time. Otherwise the first event of a
 * burst is written and sent, only to find that nobody wants it.
 */

import { createHash } from "node:crypto";
import { log } from "../../log.ts";
import type { EventTarget, EventType, Origin, RegistryEvent } from "../../oci/event.ts";
import type { WebhooksApi } from "../../rpc/webhooks-api.ts";
import { eachRow, hasRow, hasTable, oneRow, type Tx, takeBytes, transaction } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that sends events to `Webhooks`. */
const eventsJob = "events";

const batchSize = 100;
const retryMs = 5_000;

/** How long events wait for further ones while somebody listens, so that a burst of pushes takes one call. */
const gatherMs = 250;
/**
 * Events are sent right after their transaction. If the object dies before that, the alarm sends them after this time.
 */
const alarmAfterMs = 30_000;

/** The part of the host that an event log uses. */
type EventHost = Pick<LedgerHost, "storage" | "sql" | "due" | "clock" | "name">;

/** The events of one ledger that were not sent yet. */
export class EventLog implements Feature {
  readonly tables = { events: "awaited" } as const;

  readonly steps = {
    // An event is stored without the repository's name.
    3: `
  CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL);
`,
    // Events are deleted in order, so their numbers may be reused. AUTOINCREMENT wrote one more row for each event.
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
  /** No event is written until then, as nobody will listen. */
  #quietUntil = 0;
  /** When to ask again if a push is expected. */
  #askAfter = 0;
  #isAsking = false;
  #isGathering = false;
  #flushing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(host: EventHost, webhooks: () => WebhooksApi) {
    this.#host = host;
    this.#webhooks = webhooks;
  }

  /** Writes an event, unless nobody will listen. */
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

  /** Whether all events were sent. */
  isEmpty(): boolean {
    return !hasRow(this.#host.sql, "SELECT 1 FROM events LIMIT 1");
  }

  /** How many events could not be sent. Events that merely wait for further ones are not counted. */
  backlog(): number {
    if (!this.#hasFailed) return 0;
    return oneRow<{ count: number }>(this.#host.sql, "SELECT count(*) AS count FROM events").count;
  }

  /** Asks whether somebody listens, unless that is known. To be called when a push is expected. Never throws. */
  async ask(repository: string): Promise<void> {
    if (this.#isAsking || this.#isListening || this.#host.clock.now() < this.#askAfter) return;
    this.#isAsking = true;
    try {
      await this.#send(repository, []);
    } catch {
      // Events are then written and sent as usual.
    } finally {
      this.#isAsking = false;
    }
  }

  async #send(repository: string, events: RegistryEvent[]): Promise<void> {
    const askedAt = this.#host.clock.now();
    const { isListening, quietMs = 0 } = await this.#webhooks().accept(repository, events);
    this.#isListening = isListening;
    this.#quietUntil = askedAt + quietMs;
    this.#askAfter = askedAt + quietMs / 2;
  }

  /** Sends events, after a moment if somebody listened last time. The alarm retries failures. Never throws. */
  async flushSoon(repository: string): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    try {
      while (this.#exists() && !this.#hasFailed && !this.isEmpty()) {
        if (this.#isListening) await scheduler.wait(gatherMs);
        // A deleted repository may have sent its last event, and its tables may be gone.
        if (!this.#exists()) return;
        await this.flush(repository, 1);
      }
    } finally {
      this.#isGathering = false;
    }
  }

  /** Sends events, at most `maxBatches` batches. Never throws. */
  flush(repository: string, maxBatches = Number.POSITIVE_INFINITY): Promise<void> {
    // A call in progress also sends the events that were written meanwhile.
    this.#flushing ??= this.#handOver(repository, maxBatches).finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #handOver(repository: string, maxBatches: number): Promise<void> {
    try {
      for (let batches = 0, batch = this.#batch(); batch.length > 0; batch = this.#batch()) {
        if (++batches > maxBatches) return;
        // Workerd polls no socket in a chain of calls between objects. A ledger with events does not go meanwhile.
        if (batches > 1) await scheduler.wait(0);
        const events = batch.map((row): RegistryEvent => ({ ...JSON.parse(row.event), repository }));
        await this.#send(repository, events);
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
 * The id of an event, a UUID. If a transaction is repeated because an answer between objects was lost, its events get
 * the same ids.
 */
function eventId(type: EventType, { requestId }: Origin, { digest, tag }: EventTarget): string {
  if (requestId === "") return crypto.randomUUID();
  const hash = createHash("sha256")
    .update(`${requestId}\n${type}\n${digest ?? ""}\n${tag ?? ""}`)
    .digest();
  // RFC 9562, section 5.8: version 8 is for custom ids.
  const hex = hash.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
