/**
 * The outbox: which rows of the replica KV may not have right, and how they get there.
 *
 * It holds keys, not values: a row is read from the ledger as it is written. One write at a time is in flight for
 * a key, and its mark is cleared only if nothing changed meanwhile. A write whose outcome is unknown (it failed, or
 * the object died during it) may land late; a delete may be overtaken by such a write of an earlier life. Both are
 * repeated once the time in which they could land is over, so that nothing deleted comes back.
 *
 * What a transaction marks, and begins to write at once, has one row for all (flights.ts). A row of its own has what
 * is left of it when the write has ended: one that failed, a delete, or one that changed meanwhile.
 *
 * Where there is no replica, nothing is ever marked, and what was marked while there was one is forgotten.
 */
import type { Clock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { ReplicaKey } from "../../storage/keys.ts";
import type { Replica, ReplicaValue } from "../../storage/replica.ts";
import type { DueTable } from "../due.ts";
import { tellBacklogLater } from "./backlog.ts";
import { type FlightKey, FlightStore } from "./flights.ts";

/** The job of the `due` table that flushes the outbox. */
export const outboxJob = "outbox";

/** A row of the outbox. */
type MarkRow = FlightKey & { version: number; unsettled_until: number | null };

/** A row that KV may not have right. `flight`: it has no row of its own. */
export type Mark = MarkRow & { flight?: Flight };

/** The flight with which a mark is written. */
type Flight = { id: number; until: number };

/** What came of a write. One that failed may have happened, or happen late: it is not known. */
type Outcome = { mark: Mark; isKnown: boolean; isDelete: boolean };

const writesAtOnce = 6;
/** How many rows a flight has at most: they are written one after the other, while none of them may land late. */
const flightSize = 24;
/** Whoever marks flushes at once; where the object died before it did, the alarm does, after this time. */
const rescueMs = 1_000;
const retryMs = 5_000;
const flushBudgetMs = 10_000;

/** The outbox of one ledger. `readValue` says what KV should have; `undefined` means no row. */
export class Outbox {
  readonly #sql: SqlStorage;
  readonly #due: DueTable;
  readonly #clock: Clock;
  readonly #replica: Replica | undefined;
  readonly #repeatMs: number;
  readonly #readValue: (key: ReplicaKey) => ReplicaValue | undefined;
  readonly #inFlight = new Set<string>();
  readonly #flights: FlightStore;
  readonly #flightsUnderWay = new Set<number>();
  /** What the transaction that is under way has marked, and that has no row. */
  #fresh: Map<string, FlightKey> | undefined;

  constructor(
    sql: SqlStorage,
    due: DueTable,
    clock: Clock,
    replica: Replica | undefined,
    repeatMs: number,
    readValue: (key: ReplicaKey) => ReplicaValue | undefined,
  ) {
    this.#sql = sql;
    this.#due = due;
    this.#clock = clock;
    this.#replica = replica;
    this.#repeatMs = repeatMs;
    this.#readValue = readValue;
    this.#flights = new FlightStore(sql);
  }

  /**
   * Runs what a transaction does, and takes what it marks, and other marks that are due. To be called in the
   * transaction; whoever calls it must {@link flush} what it gives.
   */
  claimAfter<T>(work: () => T): { result: T; claimed: Mark[] } {
    this.#fresh = new Map();
    try {
      return { result: work(), claimed: [...this.claim(), ...this.#takeOff([...this.#fresh.values()])] };
    } finally {
      this.#fresh = undefined;
    }
  }

  /** Marks a row as changed. To be called in the transaction that changes it. */
  mark(key: ReplicaKey): void {
    if (this.#replica === undefined) return;
    const row = { kind: key.kind, id: key.kind === "tag" ? key.tag : key.digest };
    const name = nameOf(row);
    const isNew = !this.#inFlight.has(name) && !this.#hasRow(row);
    if (isNew && this.#fresh !== undefined && this.#fresh.size < flightSize) this.#fresh.set(name, row);
    else this.#markRow(row);
  }

  #markRow({ kind, id }: FlightKey): void {
    const now = this.#clock.now();
    this.#sql.exec(
      `INSERT INTO outbox (kind, id, version, at) VALUES (?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`,
      kind,
      id,
      now,
    );
    this.#due.set(outboxJob, "", now + rescueMs);
  }

  /** Marks many rows: those that a query gives in a column `id`. `parameters` are the query's. */
  markAll(kind: ReplicaKey["kind"], query: string, ...parameters: string[]): void {
    if (this.#replica === undefined) return;
    const now = this.#clock.now();
    this.#sql.exec(
      `INSERT INTO outbox (kind, id, version, at) SELECT ?, id, 1, ? FROM (${query}) WHERE true
       ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`,
      kind,
      now,
      ...parameters,
    );
    this.#due.set(outboxJob, "", now + rescueMs);
  }

  /** Whether KV may not have a row right, or a write of it may land late. */
  isMarked(key: ReplicaKey): boolean {
    const row = { kind: key.kind, id: key.kind === "tag" ? key.tag : key.digest };
    return this.#hasRow(row) || this.#flights.has(row);
  }

  #hasRow({ kind, id }: FlightKey): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE kind = ? AND id = ?", kind, id).toArray().length > 0;
  }

  /** Whether KV has everything right, and no write can land late. */
  isEmpty(): boolean {
    return this.#flights.isEmpty() && this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length === 0;
  }

  /** How many rows KV does not have right. Those of which a write is merely going to be repeated are not among them. */
  backlog(): number {
    return this.#sql
      .exec<{ count: number }>(
        "SELECT count(*) AS count FROM outbox WHERE unsettled_until IS NULL OR at != unsettled_until",
      )
      .one().count;
  }

  /**
   * Writes what is marked and due, for as long as the budget lasts; the alarm goes on. `claimed` comes first. Never
   * throws.
   */
  async flush(repository: RepositoryName, claimed: Mark[] = this.claim()): Promise<void> {
    const replica = this.#replica;
    if (replica === undefined) return this.#forget();
    const deadline = this.#clock.now() + flushBudgetMs;
    for (let marks = claimed; marks.length > 0; marks = this.claim()) {
      const outcomes: Outcome[] = [];
      for (let start = 0; start < marks.length; start += writesAtOnce) {
        const group = marks.slice(start, start + writesAtOnce);
        outcomes.push(...(await Promise.all(group.map((mark) => this.#write(replica, repository, mark)))));
      }
      // All at once, so that they are one write of the ledger's.
      for (const outcome of outcomes) this.#settle(outcome);
      for (const { flight } of marks) if (flight !== undefined) this.#land(flight);
      if (this.#clock.now() <= deadline) continue;
      tellBacklogLater(this.#due, this.#clock.now());
      break;
    }
    this.#reschedule();
  }

  /** Takes what has a row, is due, and is not being written; whoever calls it must {@link flush} what it gives. */
  claim(): Mark[] {
    if (this.#replica === undefined) return [];
    const now = this.#clock.now();
    const marks: Mark[] = this.#sql
      .exec<MarkRow>(
        "SELECT kind, id, version, unsettled_until FROM outbox WHERE at <= ? ORDER BY at LIMIT ?",
        now,
        writesAtOnce + this.#inFlight.size,
      )
      .toArray()
      .filter((mark) => !this.#inFlight.has(nameOf(mark)));
    for (const mark of marks) {
      this.#inFlight.add(nameOf(mark));
      this.#settleLater(mark, now + this.#repeatMs);
    }
    return marks;
  }

  /** Takes marks that have no row. */
  #takeOff(keys: FlightKey[]): Mark[] {
    // What was marked again by a query has a row now.
    const fresh = keys.filter((key) => !this.#hasRow(key));
    if (fresh.length === 0) return [];
    const now = this.#clock.now();
    const until = now + this.#repeatMs;
    const flight = { id: this.#flights.add(fresh, now, until), until };
    this.#flightsUnderWay.add(flight.id);
    for (const key of fresh) this.#inFlight.add(nameOf(key));
    return fresh.map((key) => ({ ...key, version: 0, unsettled_until: null, flight }));
  }

  #land({ id }: Flight): void {
    if (this.#flightsUnderWay.delete(id)) this.#flights.delete(id);
  }

  /** Gives what is left of flights a row, where the object died during them. In the caller's transaction. */
  rescue(ids: string[]): void {
    for (const id of ids.map(Number)) {
      const lost = this.#flightsUnderWay.has(id) ? undefined : this.#flights.read(id);
      if (lost === undefined) continue;
      for (const key of lost.keys) {
        this.#keep(key, this.#clock.now(), lost.until);
        this.#markRow(key);
      }
      this.#flights.delete(id);
    }
  }

  /** Forgets what was marked while there was a replica. */
  #forget(): void {
    if (!this.#due.has(outboxJob)) return;
    this.#sql.exec("DELETE FROM outbox");
    this.#due.clear(outboxJob, "");
  }

  async #write(replica: Replica, repository: RepositoryName, mark: Mark): Promise<Outcome> {
    const key = toKey(mark);
    const value = this.#readValue(key);
    let isKnown = true;
    try {
      if (value === undefined) await replica.delete(repository, key);
      else await replica.put(repository, key, value);
    } catch (error) {
      isKnown = false;
      console.warn(
        JSON.stringify({ event: "replica write failed", repository, ...key, error: String(error) }),
      );
    }
    return { mark, isKnown, isDelete: value === undefined };
  }

  /** Decides, after a write, whether the row is done or is written once more, and when. */
  #settle({ mark, isKnown, isDelete }: Outcome): void {
    this.#inFlight.delete(nameOf(mark));
    const now = this.#clock.now();
    if (mark.flight !== undefined) {
      if (!isKnown) tellBacklogLater(this.#due, now);
      if (!isKnown) this.#keep(mark, now + retryMs, mark.flight.until);
      else if (isDelete) this.#keep(mark, now + this.#repeatMs, now + this.#repeatMs);
      return;
    }
    const current = this.#sql
      .exec<{ version: number }>("SELECT version FROM outbox WHERE kind = ? AND id = ?", mark.kind, mark.id)
      .toArray()[0];
    const isUnchanged = current?.version === mark.version;
    if (!isKnown) {
      tellBacklogLater(this.#due, now);
      if (isUnchanged) this.#postpone(mark, now + retryMs);
      return;
    }
    // What an earlier write may still do, this one does not undo if it comes later: settle for the later time.
    const earlier = mark.unsettled_until;
    const unsettledUntil = earlier !== null ? earlier : isDelete ? now + this.#repeatMs : null;
    if (unsettledUntil !== null && unsettledUntil > now) {
      this.#settleLater(mark, unsettledUntil);
      if (isUnchanged) this.#postpone(mark, unsettledUntil);
    } else if (isUnchanged) {
      this.#sql.exec("DELETE FROM outbox WHERE kind = ? AND id = ?", mark.kind, mark.id);
    } else {
      this.#settleLater(mark, null);
    }
  }

  /** Has a row written again, at a time or, if it was marked meanwhile, when it was to be. */
  #keep({ kind, id }: FlightKey, at: number, unsettledUntil: number): void {
    this.#sql.exec(
      `INSERT INTO outbox (kind, id, version, at, unsettled_until) VALUES (?, ?, 1, ?, ?)
       ON CONFLICT DO UPDATE
         SET unsettled_until = max(coalesce(unsettled_until, 0), excluded.unsettled_until)`,
      kind,
      id,
      at,
      unsettledUntil,
    );
  }

  #settleLater(mark: Mark, until: number | null): void {
    this.#sql.exec(
      "UPDATE outbox SET unsettled_until = ? WHERE kind = ? AND id = ?",
      until,
      mark.kind,
      mark.id,
    );
  }

  #postpone(mark: Mark, at: number): void {
    this.#sql.exec("UPDATE outbox SET at = ? WHERE kind = ? AND id = ?", at, mark.kind, mark.id);
  }

  #reschedule(): void {
    const [row] = this.#sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM outbox").toArray();
    if (row?.at == null) this.#due.clear(outboxJob, "");
    // A row whose write is in flight is due now; who writes it comes here again.
    else this.#due.set(outboxJob, "", Math.max(row.at, this.#clock.now() + rescueMs));
  }
}

function nameOf({ kind, id }: FlightKey): string {
  return `${kind} ${id}`;
}

function toKey(mark: Mark): ReplicaKey {
  return mark.kind === "tag" ? { kind: "tag", tag: mark.id } : { kind: mark.kind, digest: mark.id };
}
