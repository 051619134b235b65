/**
 * The outbox: which rows of the replica KV may not have right, and how they get there.
 *
 * It holds keys, not values: a row is read from the ledger as it is written. One write at a time is in flight for a key,
 * and its mark is cleared only if nothing changed meanwhile. A write whose outcome is unknown (it failed, or the object
 * died during it) may land late; a delete may be overtaken by such a write of an earlier life. Both are repeated once the
 * time in which they could land is over, so that nothing deleted comes back.
 *
 * Writes that begin with the transaction which made them necessary are a batch: one row of the table `flights`, written
 * before they begin and deleted when they have ended. (A row for each was a third of what a push wrote.) The table
 * `outbox` has what is left of a batch: a write that failed, a delete, or a row that changed meanwhile.
 *
 * Where there is no replica, nothing is ever marked, and what was marked while there was one is forgotten.
 */
import { log } from "../../log.ts";
import type { Digest, RepositoryName, Tag } from "../../oci/reference.ts";
import type { Replica, ReplicaKey, ReplicaValue } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import { firstRow, hasRow, oneRow, readRows, type Tx, transaction } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that writes what is marked, and the one that finds batches whose writes ended with the object's memory. */
const [outboxJob, lostBatchJob] = ["outbox", "flight"] as const;

/** A row of the replica as the tables name it: a tag's id is the tag, others' their digest. */
type RowName = { kind: "tag"; id: Tag } | { kind: "manifest" | "blob"; id: Digest };

/** A row of the outbox. `mayLandUntil`: an earlier write of it may land until then. */
type OutboxRow = RowName & { version: number; mayLandUntil: number | null };

/** A row that is being written. `batch`: the batch that it belongs to, whose writes may land until a time. */
type Mark = OutboxRow & { batch?: { id: number; until: number } };

/** What came of a write. One that failed may have happened, or happen late: it is not known. */
type Outcome = { mark: Mark; isKnown: boolean; isDelete: boolean };

/** How many rows are written at once. */
const writesAtOnce = 6;
/** How many rows a batch has at most: they are written six at a time, while none of them may land late. */
const batchSize = 24;
const lookForLostMs = 30_000;
/** Whoever marks a row writes it at once. If the object dies before that, the alarm does so after this time. */
const alarmAfterMs = 1_000;
const retryMs = 5_000;
const flushBudgetMs = 10_000;

/** The outbox of one ledger. */
export class Outbox implements Feature {
  readonly tables = { outbox: "drained", flights: "drained" } as const;

  readonly steps = {
    1: `
  -- Replica rows that KV may not have right. unsettled_until: a write of unknown outcome may land until then.
  CREATE TABLE IF NOT EXISTS outbox (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    unsettled_until INTEGER,
    PRIMARY KEY (kind, id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS outbox_by_time ON outbox (at);
`,
    // keys: a JSON array of RowName; at: when to look whether the batch is lost; until: a write of it may land until then.
    7: `
  CREATE TABLE flights (id INTEGER PRIMARY KEY, keys TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL);
`,
  };

  readonly jobs = {
    [lostBatchJob]: {
      atDeletion: "kept",
      run: async (due: DueRow[]) => this.#change((tx) => this.#recover(tx, due)),
      column: { table: "flights", id: "CAST(id AS TEXT)", at: "at", isDue: "true" },
    },
    [outboxJob]: { atDeletion: "kept", run: () => this.flush(this.#host.name()) },
  } as const;

  readonly #host: LedgerHost;
  readonly #repeatMs: number;
  /** What KV should say as a row is written; `undefined`: there should be no row. Set by what has the manifests. */
  readValue: (key: ReplicaKey) => ReplicaValue | undefined = () => undefined;
  /** The rows that are being written, by their names. */
  readonly #inFlight = new Set<string>();
  readonly #batchesUnderWay = new Set<number>();
  /** What the transaction that is under way has marked, and that has no row. */
  #fresh: Map<string, RowName> | undefined;

  constructor(host: LedgerHost) {
    this.#host = host;
    this.#repeatMs = host.settings.replicaRepeatMs;
  }

  /** Marks a row as changed. */
  mark(tx: Tx, key: ReplicaKey): void {
    if (this.#host.replica === undefined) return;
    const row = nameOf(key);
    const isNew = !this.#inFlight.has(textOf(row)) && !this.#hasRow(row);
    if (isNew && this.#fresh !== undefined && this.#fresh.size < batchSize) this.#fresh.set(textOf(row), row);
    else this.#markRow(tx, row);
  }

  #markRow(tx: Tx, { kind, id }: RowName): void {
    const now = this.#host.clock.now();
    const add = `INSERT INTO outbox (kind, id, version, at) VALUES (?, ?, 1, ?)
      ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`;
    tx.write(add, kind, id, now);
    this.#host.due.set(tx, outboxJob, "", now + alarmAfterMs);
  }

  /** Marks many rows: those that a query gives in a column `id`. `parameters` are the query's. */
  markAll(tx: Tx, kind: ReplicaKey["kind"], query: string, ...parameters: string[]): void {
    if (this.#host.replica === undefined) return;
    const now = this.#host.clock.now();
    const add = `INSERT INTO outbox (kind, id, version, at) SELECT ?, id, 1, ? FROM (${query}) WHERE true
      ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`;
    tx.write(add, kind, now, ...parameters);
    this.#host.due.set(tx, outboxJob, "", now + alarmAfterMs);
  }

  /** Whether KV may not have a row right, or a write of it may land late. */
  isMarked(key: ReplicaKey): boolean {
    const row = nameOf(key);
    const inBatch = `SELECT 1 FROM flights, json_each(flights.keys)
      WHERE value ->> 'kind' = ? AND value ->> 'id' = ? LIMIT 1`;
    return this.#hasRow(row) || hasRow(this.#host.sql, inBatch, row.kind, row.id);
  }

  #hasRow({ kind, id }: RowName): boolean {
    return hasRow(this.#host.sql, "SELECT 1 FROM outbox WHERE kind = ? AND id = ?", kind, id);
  }

  /** How many rows KV does not have right. Those of which a write is merely going to be repeated are not among them. */
  backlog(): number {
    const behind =
      "SELECT count(*) AS count FROM outbox WHERE unsettled_until IS NULL OR at != unsettled_until";
    return oneRow<{ count: number }>(this.#host.sql, behind).count;
  }

  /**
   * Runs what a transaction does, and takes what it marks, and other marks that are due. Whoever calls it must
   * {@link flush} what it gives.
   */
  claimAfter<T>(tx: Tx, work: () => T): { result: T; claimed: Mark[] } {
    this.#fresh = new Map();
    try {
      const result = work();
      return { result, claimed: [...this.#claim(tx), ...this.#beginBatch(tx, [...this.#fresh.values()])] };
    } finally {
      this.#fresh = undefined;
    }
  }

  /** Takes what has a row, is due, and is not being written. */
  #claim(tx: Tx): Mark[] {
    if (this.#host.replica === undefined) return [];
    const now = this.#host.clock.now();
    const due = `SELECT kind, id, version, unsettled_until AS mayLandUntil FROM outbox
      WHERE at <= ? ORDER BY at LIMIT ?`;
    const marks: Mark[] = readRows<OutboxRow>(
      this.#host.sql,
      due,
      now,
      writesAtOnce + this.#inFlight.size,
    ).filter((mark) => !this.#inFlight.has(textOf(mark)));
    for (const mark of marks) {
      this.#inFlight.add(textOf(mark));
      this.#set(tx, mark, "unsettled_until", now + this.#repeatMs);
    }
    return marks;
  }

  /** Takes marks that have no row. */
  #beginBatch(tx: Tx, marked: RowName[]): Mark[] {
    // What was marked again by a query has a row now.
    const fresh = marked.filter((row) => !this.#hasRow(row));
    if (fresh.length === 0) return [];
    const now = this.#host.clock.now();
    const until = now + this.#repeatMs;
    const add = "INSERT INTO flights (keys, at, until) VALUES (?, ?, ?) RETURNING id";
    const { id } = tx.writeOne<{ id: number }>(add, JSON.stringify(fresh), now + lookForLostMs, until);
    this.#batchesUnderWay.add(id);
    for (const row of fresh) this.#inFlight.add(textOf(row));
    return fresh.map((row) => ({ ...row, version: 0, mayLandUntil: null, batch: { id, until } }));
  }

  /**
   * Writes what is marked and due, for as long as the budget lasts; the alarm goes on. `claimed` comes first. Never
   * throws.
   */
  async flush(repository: RepositoryName, claimed = this.#change((tx) => this.#claim(tx))): Promise<void> {
    const { due, clock, replica } = this.#host;
    const deadline = clock.now() + flushBudgetMs;
    for (let marks = claimed; marks.length > 0; marks = this.#change((tx) => this.#claim(tx))) {
      if (replica === undefined) break;
      const outcomes: Outcome[] = [];
      for (let start = 0; start < marks.length; start += writesAtOnce) {
        const group = marks.slice(start, start + writesAtOnce);
        outcomes.push(...(await Promise.all(group.map((mark) => this.#write(replica, repository, mark)))));
      }
      // All at once, so that they are one write of the ledger's.
      this.#change((tx) => this.#settle(tx, outcomes));
      if (clock.now() <= deadline) continue;
      this.#change((tx) => tellBacklogLater(tx, due, clock.now()));
      break;
    }
    this.#change((tx) => this.#reschedule(tx));
  }

  async #write(replica: Replica, repository: RepositoryName, mark: Mark): Promise<Outcome> {
    const key = keyOf(mark);
    const value = this.readValue(key);
    try {
      if (value === undefined) await replica.delete(repository, key);
      else await replica.put(repository, key, value);
      return { mark, isKnown: true, isDelete: value === undefined };
    } catch (error) {
      log("warn", "replica write failed", { repository, ...key, error: String(error) });
      return { mark, isKnown: false, isDelete: value === undefined };
    }
  }

  #change<T>(work: (tx: Tx) => T): T {
    return transaction(this.#host.storage, work);
  }

  /** Keeps what came of writes that have ended, of all that began together. */
  #settle(tx: Tx, outcomes: Outcome[]): void {
    for (const outcome of outcomes) this.#settleOne(tx, outcome);
    for (const { mark } of outcomes) {
      if (mark.batch !== undefined && this.#batchesUnderWay.delete(mark.batch.id))
        tx.write("DELETE FROM flights WHERE id = ?", mark.batch.id);
    }
  }

  /** Decides, after a write, whether the row is done or is written once more, and when. */
  #settleOne(tx: Tx, { mark, isKnown, isDelete }: Outcome): void {
    this.#inFlight.delete(textOf(mark));
    const now = this.#host.clock.now();
    if (!isKnown) tellBacklogLater(tx, this.#host.due, now);
    if (mark.batch !== undefined) {
      if (!isKnown) this.#keep(tx, mark, now + retryMs, mark.batch.until);
      else if (isDelete) this.#keep(tx, mark, now + this.#repeatMs, now + this.#repeatMs);
      return;
    }
    const { kind, id, version } = mark;
    const current = "SELECT version FROM outbox WHERE kind = ? AND id = ?";
    const isUnchanged = firstRow<{ version: number }>(this.#host.sql, current, kind, id)?.version === version;
    if (!isKnown) {
      if (isUnchanged) this.#set(tx, mark, "at", now + retryMs);
      return;
    }
    // What an earlier write may still do, this one does not undo if it comes later: wait for the later time.
    const earlier = mark.mayLandUntil;
    const mayLandUntil = earlier !== null ? earlier : isDelete ? now + this.#repeatMs : null;
    if (mayLandUntil !== null && mayLandUntil > now) {
      this.#set(tx, mark, "unsettled_until", mayLandUntil);
      if (isUnchanged) this.#set(tx, mark, "at", mayLandUntil);
    } else if (isUnchanged) {
      tx.write("DELETE FROM outbox WHERE kind = ? AND id = ?", kind, id);
    } else {
      this.#set(tx, mark, "unsettled_until", null);
    }
  }

  /** Gives what is left of batches rows of their own, where the object died during them. */
  #recover(tx: Tx, rows: DueRow[]): void {
    const query = "SELECT keys, until FROM flights WHERE id = ?";
    for (const id of rows.map((row) => Number(row.id))) {
      if (this.#batchesUnderWay.has(id)) continue;
      for (const { keys, until } of readRows<{ keys: string; until: number }>(this.#host.sql, query, id)) {
        const left: RowName[] = JSON.parse(keys);
        for (const row of left) {
          this.#keep(tx, row, this.#host.clock.now(), until);
          this.#markRow(tx, row);
        }
      }
      tx.write("DELETE FROM flights WHERE id = ?", id);
    }
  }

  /** Has a row written again, at a time or, if it was marked meanwhile, when it was to be. */
  #keep(tx: Tx, { kind, id }: RowName, at: number, mayLandUntil: number): void {
    const keep = `INSERT INTO outbox (kind, id, version, at, unsettled_until) VALUES (?, ?, 1, ?, ?)
      ON CONFLICT DO UPDATE SET unsettled_until = max(coalesce(unsettled_until, 0), excluded.unsettled_until)`;
    tx.write(keep, kind, id, at, mayLandUntil);
  }

  #set(tx: Tx, { kind, id }: RowName, column: "at" | "unsettled_until", time: number | null): void {
    tx.write(`UPDATE outbox SET ${column} = ? WHERE kind = ? AND id = ?`, time, kind, id);
  }

  /** Says when the alarm is to write what is left. Where there is no replica any more, nothing is. */
  #reschedule(tx: Tx): void {
    const { sql, due, clock, replica } = this.#host;
    if (replica === undefined) {
      if (!due.has(outboxJob)) return;
      tx.write("DELETE FROM outbox");
    }
    const first = oneRow<{ at: number | null }>(sql, "SELECT min(at) AS at FROM outbox").at;
    if (first === null) due.clear(tx, outboxJob, "");
    // A row whose write is in flight is due now; who writes it comes here again.
    else due.set(tx, outboxJob, "", Math.max(first, clock.now() + alarmAfterMs));
  }
}

function nameOf(key: ReplicaKey): RowName {
  return key.kind === "tag" ? { kind: key.kind, id: key.tag } : { kind: key.kind, id: key.digest };
}

function keyOf(row: RowName): ReplicaKey {
  return row.kind === "tag" ? { kind: row.kind, tag: row.id } : { kind: row.kind, digest: row.id };
}

function textOf({ kind, id }: RowName): string {
  return `${kind} ${id}`;
}
