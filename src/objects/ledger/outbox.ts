/**
 * The outbox: which rows of the replica KV may not have right, and how they get there.
 *
 * It holds keys, not values: a row is read from the ledger as it is written (replica-writer.ts). One write at a time is
 * in flight for a key, and its mark is cleared only if nothing changed meanwhile. A write whose outcome is unknown (it
 * failed, or the object died during it) may land late; a delete may be overtaken by such a write of an earlier life. Both
 * are repeated once the time in which they could land is over, so that nothing deleted comes back.
 *
 * The writes that begin with the transaction which made them necessary are a batch: one row of the table `flights` for
 * all of them, written before they begin and deleted when they have ended. A push changes a dozen rows of the replica;
 * with a row for each, and one more write when it is on its way, that was a third of what the ledger wrote. A row of its
 * own, in the table `outbox`, has what is left of a batch: a write that failed, a delete, or a row that changed meanwhile.
 *
 * Where there is no replica, nothing is ever marked, and what was marked while there was one is forgotten.
 */
import type { Clock } from "../../clock.ts";
import type { ReplicaKey } from "../../storage/keys.ts";
import type { DueColumn, DueTable } from "../due.ts";
import { firstRow, hasRow, oneRow, readRows, type Tx } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";

/** The job of the `due` table that writes what the outbox has marked. */
export const outboxJob = "outbox";

/** The job that finds batches whose writes ended with the memory of the object. */
export const lostBatchJob = "flight";

/** A batch that takes long may be lost: whoever began it knows. */
export const batchColumn: DueColumn = { table: "flights", id: "CAST(id AS TEXT)", at: "at", isDue: "true" };

/**
 * SQL of the table of batches, for the ledger's schema. `keys`: a JSON array of {@link RowName}; `at`: when to look
 * whether it is lost; `until`: a write of it may land until then.
 */
export const batchesSchema = `
  CREATE TABLE flights (id INTEGER PRIMARY KEY, keys TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL);
`;

/** A row of the replica as the tables name it: a tag's id is the tag, others' their digest. */
type RowName = { kind: ReplicaKey["kind"]; id: string };

/**
 * A row that KV may not have right, and that is being written. `mayLandUntil`: an earlier write of it may land until
 * then. `batch`: the batch that it belongs to; it has no row of its own.
 */
export type Mark = OutboxRow & { batch?: Batch };

type OutboxRow = RowName & { version: number; mayLandUntil: number | null };

/** A batch of writes that are under way, any of which may land until a time. */
type Batch = { id: number; until: number };

/** What came of a write. One that failed may have happened, or happen late: it is not known. */
export type Outcome = { mark: Mark; isKnown: boolean; isDelete: boolean };

/** How many rows are written at once. */
export const writesAtOnce = 6;
/** How many rows a batch has at most: they are written six at a time, while none of them may land late. */
const batchSize = 24;
const lookForLostMs = 30_000;
/** Whoever marks a row writes it at once; where the object died before it did, the alarm does, after this time. */
const alarmAfterMs = 1_000;
const retryMs = 5_000;

/** The outbox of one ledger. */
export class Outbox {
  readonly #sql: SqlStorage;
  readonly #due: DueTable;
  readonly #clock: Clock;
  readonly #hasReplica: boolean;
  readonly #repeatMs: number;
  /** The rows that are being written, by their names. */
  readonly #inFlight = new Set<string>();
  readonly #batchesUnderWay = new Set<number>();
  /** What the transaction that is under way has marked, and that has no row. */
  #fresh: Map<string, RowName> | undefined;

  /** `repeatMs`: for how long a write may land late. */
  constructor(sql: SqlStorage, due: DueTable, clock: Clock, hasReplica: boolean, repeatMs: number) {
    this.#sql = sql;
    this.#due = due;
    this.#clock = clock;
    this.#hasReplica = hasReplica;
    this.#repeatMs = repeatMs;
  }

  // ── Marking ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Marks a row as changed. */
  mark(tx: Tx, key: ReplicaKey): void {
    if (!this.#hasReplica) return;
    const row = rowName(key);
    const isNew = !this.#inFlight.has(textOf(row)) && !this.#hasRow(row);
    if (isNew && this.#fresh !== undefined && this.#fresh.size < batchSize) this.#fresh.set(textOf(row), row);
    else this.#markRow(tx, row);
  }

  #markRow(tx: Tx, { kind, id }: RowName): void {
    const now = this.#clock.now();
    const add = `INSERT INTO outbox (kind, id, version, at) VALUES (?, ?, 1, ?)
      ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`;
    tx.write(add, kind, id, now);
    this.#due.set(tx, outboxJob, "", now + alarmAfterMs);
  }

  /** Marks many rows: those that a query gives in a column `id`. `parameters` are the query's. */
  markAll(tx: Tx, kind: ReplicaKey["kind"], query: string, ...parameters: string[]): void {
    if (!this.#hasReplica) return;
    const now = this.#clock.now();
    const add = `INSERT INTO outbox (kind, id, version, at) SELECT ?, id, 1, ? FROM (${query}) WHERE true
      ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`;
    tx.write(add, kind, now, ...parameters);
    this.#due.set(tx, outboxJob, "", now + alarmAfterMs);
  }

  /** Whether KV may not have a row right, or a write of it may land late. */
  isMarked(key: ReplicaKey): boolean {
    const row = rowName(key);
    const inBatch = `SELECT 1 FROM flights, json_each(flights.keys)
      WHERE value ->> 'kind' = ? AND value ->> 'id' = ? LIMIT 1`;
    return this.#hasRow(row) || hasRow(this.#sql, inBatch, row.kind, row.id);
  }

  #hasRow({ kind, id }: RowName): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM outbox WHERE kind = ? AND id = ?", kind, id);
  }

  /** Whether KV has everything right, and no write can land late. */
  isEmpty(): boolean {
    const any = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM flights LIMIT 1";
    return !hasRow(this.#sql, any);
  }

  /** How many rows KV does not have right. Those of which a write is merely going to be repeated are not among them. */
  backlog(): number {
    const behind =
      "SELECT count(*) AS count FROM outbox WHERE unsettled_until IS NULL OR at != unsettled_until";
    return oneRow<{ count: number }>(this.#sql, behind).count;
  }

  // ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs what a transaction does, and takes what it marks, and other marks that are due. Whoever calls it must write to
   * KV what it gives.
   */
  claimAfter<T>(tx: Tx, work: () => T): { result: T; claimed: Mark[] } {
    this.#fresh = new Map();
    try {
      const result = work();
      return { result, claimed: [...this.claim(tx), ...this.#beginBatch(tx, [...this.#fresh.values()])] };
    } finally {
      this.#fresh = undefined;
    }
  }

  /** Takes what has a row, is due, and is not being written. Whoever calls it must write to KV what it gives. */
  claim(tx: Tx): Mark[] {
    if (!this.#hasReplica) return [];
    const now = this.#clock.now();
    const due = `SELECT kind, id, version, unsettled_until AS mayLandUntil FROM outbox
      WHERE at <= ? ORDER BY at LIMIT ?`;
    const marks: Mark[] = readRows<OutboxRow>(this.#sql, due, now, writesAtOnce + this.#inFlight.size).filter(
      (mark) => !this.#inFlight.has(textOf(mark)),
    );
    for (const mark of marks) {
      this.#inFlight.add(textOf(mark));
      this.#mayLand(tx, mark, now + this.#repeatMs);
    }
    return marks;
  }

  /** Takes marks that have no row. */
  #beginBatch(tx: Tx, marked: RowName[]): Mark[] {
    // What was marked again by a query has a row now.
    const fresh = marked.filter((row) => !this.#hasRow(row));
    if (fresh.length === 0) return [];
    const now = this.#clock.now();
    const until = now + this.#repeatMs;
    const add = "INSERT INTO flights (keys, at, until) VALUES (?, ?, ?) RETURNING id";
    const { id } = tx.writeOne<{ id: number }>(add, JSON.stringify(fresh), now + lookForLostMs, until);
    this.#batchesUnderWay.add(id);
    for (const row of fresh) this.#inFlight.add(textOf(row));
    return fresh.map((row) => ({ ...row, version: 0, mayLandUntil: null, batch: { id, until } }));
  }

  /** Keeps what came of writes that have ended, of all that began together. */
  settle(tx: Tx, outcomes: Outcome[]): void {
    for (const outcome of outcomes) this.#settleOne(tx, outcome);
    for (const { mark } of outcomes) {
      if (mark.batch !== undefined && this.#batchesUnderWay.delete(mark.batch.id))
        this.#deleteBatch(tx, mark.batch.id);
    }
  }

  /** Decides, after a write, whether the row is done or is written once more, and when. */
  #settleOne(tx: Tx, { mark, isKnown, isDelete }: Outcome): void {
    this.#inFlight.delete(textOf(mark));
    const now = this.#clock.now();
    if (!isKnown) tellBacklogLater(tx, this.#due, now);
    if (mark.batch !== undefined) {
      if (!isKnown) this.#keep(tx, mark, now + retryMs, mark.batch.until);
      else if (isDelete) this.#keep(tx, mark, now + this.#repeatMs, now + this.#repeatMs);
      return;
    }
    const { kind, id, version } = mark;
    const current = "SELECT version FROM outbox WHERE kind = ? AND id = ?";
    const isUnchanged = firstRow<{ version: number }>(this.#sql, current, kind, id)?.version === version;
    if (!isKnown) {
      if (isUnchanged) this.#postpone(tx, mark, now + retryMs);
      return;
    }
    // What an earlier write may still do, this one does not undo if it comes later: wait for the later time.
    const earlier = mark.mayLandUntil;
    const mayLandUntil = earlier !== null ? earlier : isDelete ? now + this.#repeatMs : null;
    if (mayLandUntil !== null && mayLandUntil > now) {
      this.#mayLand(tx, mark, mayLandUntil);
      if (isUnchanged) this.#postpone(tx, mark, mayLandUntil);
    } else if (isUnchanged) {
      tx.write("DELETE FROM outbox WHERE kind = ? AND id = ?", kind, id);
    } else {
      this.#mayLand(tx, mark, null);
    }
  }

  /** Gives what is left of batches rows of their own, where the object died during them. */
  recover(tx: Tx, ids: string[]): void {
    for (const id of ids.map(Number)) {
      if (this.#batchesUnderWay.has(id)) continue;
      const query = "SELECT keys, until FROM flights WHERE id = ?";
      const lost = firstRow<{ keys: string; until: number }>(this.#sql, query, id);
      const left: RowName[] = lost === undefined ? [] : JSON.parse(lost.keys);
      for (const row of left) {
        this.#keep(tx, row, this.#clock.now(), lost?.until ?? 0);
        this.#markRow(tx, row);
      }
      this.#deleteBatch(tx, id);
    }
  }

  #deleteBatch(tx: Tx, id: number): void {
    tx.write("DELETE FROM flights WHERE id = ?", id);
  }

  /** Has a row written again, at a time or, if it was marked meanwhile, when it was to be. */
  #keep(tx: Tx, { kind, id }: RowName, at: number, mayLandUntil: number): void {
    const keep = `INSERT INTO outbox (kind, id, version, at, unsettled_until) VALUES (?, ?, 1, ?, ?)
      ON CONFLICT DO UPDATE SET unsettled_until = max(coalesce(unsettled_until, 0), excluded.unsettled_until)`;
    tx.write(keep, kind, id, at, mayLandUntil);
  }

  #mayLand(tx: Tx, { kind, id }: RowName, until: number | null): void {
    tx.write("UPDATE outbox SET unsettled_until = ? WHERE kind = ? AND id = ?", until, kind, id);
  }

  #postpone(tx: Tx, { kind, id }: RowName, at: number): void {
    tx.write("UPDATE outbox SET at = ? WHERE kind = ? AND id = ?", at, kind, id);
  }

  /** Says when the alarm is to write what is left. Where there is no replica any more, nothing is. */
  reschedule(tx: Tx): void {
    if (!this.#hasReplica) {
      if (!this.#due.has(outboxJob)) return;
      tx.write("DELETE FROM outbox");
    }
    const first = firstRow<{ at: number | null }>(this.#sql, "SELECT min(at) AS at FROM outbox");
    if (first?.at == null) this.#due.clear(tx, outboxJob, "");
    // A row whose write is in flight is due now; who writes it comes here again.
    else this.#due.set(tx, outboxJob, "", Math.max(first.at, this.#clock.now() + alarmAfterMs));
  }
}

function rowName(key: ReplicaKey): RowName {
  return { kind: key.kind, id: key.kind === "tag" ? key.tag : key.digest };
}

function textOf({ kind, id }: RowName): string {
  return `${kind} ${id}`;
}

/** The key of the row that a mark is about. */
export function keyOf({ kind, id }: Mark): ReplicaKey {
  return kind === "tag" ? { kind, tag: id } : { kind, digest: id };
}
