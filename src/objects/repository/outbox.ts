/**
 * The outbox: which rows of the replica KV may not have right, and how they get there.
 *
 * It holds keys, not values: a row is read from the ledger as it is written. One write at a time is in flight for
 * a key, and its mark is cleared only if nothing changed meanwhile. A write whose outcome is unknown (it failed, or
 * the object died during it) may land late; a delete may be overtaken by such a write of an earlier life. Both are
 * repeated once the time in which they could land is over, so that nothing deleted comes back.
 *
 * Where there is no replica, nothing is ever marked, and what was marked while there was one is forgotten.
 */
import type { Clock } from "../../env.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { ReplicaKey } from "../../storage/keys.ts";
import type { Replica, ReplicaValue } from "../../storage/replica.ts";
import type { DueTable } from "../due.ts";
import { tellBacklogLater } from "./backlog.ts";

/** The job of the `due` table that flushes the outbox. */
export const outboxJob = "outbox";

/** A row that KV may not have right. */
export type Mark = { kind: ReplicaKey["kind"]; id: string; version: number; unsettled_until: number | null };

/** What came of a write. One that failed may have happened, or happen late: it is not known. */
type Outcome = { mark: Mark; isKnown: boolean; isDelete: boolean };

const writesAtOnce = 6;
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
  }

  /** Marks a row as changed. To be called in the transaction that changes it. */
  mark(key: ReplicaKey): void {
    if (this.#replica === undefined) return;
    const now = this.#clock.now();
    this.#sql.exec(
      `INSERT INTO outbox (kind, id, version, at) VALUES (?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`,
      key.kind,
      key.kind === "tag" ? key.tag : key.digest,
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
    const id = key.kind === "tag" ? key.tag : key.digest;
    return (
      this.#sql.exec("SELECT 1 FROM outbox WHERE kind = ? AND id = ?", key.kind, id).toArray().length > 0
    );
  }

  /** Whether KV has everything right, and no write can land late. */
  isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length === 0;
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
      const outcomes = await Promise.all(marks.map((mark) => this.#write(replica, repository, mark)));
      // All at once, so that they are one write of the ledger's.
      for (const outcome of outcomes) this.#settle(outcome);
      if (this.#clock.now() <= deadline) continue;
      tellBacklogLater(this.#due, this.#clock.now());
      break;
    }
    this.#reschedule();
  }

  /**
   * Takes what is marked and due, and not being written. Called last in the transaction that marks, it needs none of its
   * own; whoever calls it must {@link flush} what it gives.
   */
  claim(): Mark[] {
    if (this.#replica === undefined) return [];
    const now = this.#clock.now();
    const marks = this.#sql
      .exec<Mark>(
        "SELECT kind, id, version, unsettled_until FROM outbox WHERE at <= ? ORDER BY at LIMIT ?",
        now,
        writesAtOnce + this.#inFlight.size,
      )
      .toArray()
      .filter((mark) => !this.#inFlight.has(inFlightName(mark)));
    for (const mark of marks) {
      this.#inFlight.add(inFlightName(mark));
      this.#settleLater(mark, now + this.#repeatMs);
    }
    return marks;
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
    this.#inFlight.delete(inFlightName(mark));
    const now = this.#clock.now();
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

function inFlightName(mark: Mark): string {
  return `${mark.kind} ${mark.id}`;
}

function toKey(mark: Mark): ReplicaKey {
  return mark.kind === "tag" ? { kind: "tag", tag: mark.id } : { kind: mark.kind, digest: mark.id };
}
