/**
 * The outbox: rows of the replica that may be stale in KV, and the writes that update them.
 *
 * It stores keys, not values: the value is read from the ledger when it is written to KV. There is one write in flight
 * for a key at a time, and its mark is cleared only if the row did not change meanwhile. A write whose outcome is
 * unknown (it failed, or the object died during it) may land late, even after a later delete. Such writes, and deletes,
 * are repeated once no earlier write can land any more, so that deleted rows do not reappear.
 *
 * The writes that one transaction makes necessary are a batch: one row of the table `flights`, written before they
 * begin and deleted when they have ended. (With a row for each, they were a third of all rows that a push wrote.) The
 * table `outbox` has the leftovers of batches: writes that failed, deletes, and rows that changed meanwhile.
 *
 * Without a replica nothing is marked, and marks from a time with one are dropped.
 */
import { log } from "../../log.ts";
import type { Digest, RepositoryName, Tag } from "../../oci/reference.ts";
import type { Replica, ReplicaKey, ReplicaValue } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import { firstRow, hasRow, oneRow, readRows, type Tx, transaction } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that writes marked rows, and the one that recovers batches whose object died during the writes. */
const [outboxJob, lostBatchJob] = ["outbox", "flight"] as const;

/** The name of a replica row in the tables. The id of a tag is the tag; the id of a manifest or blob is its digest. */
type RowName = { kind: "tag"; id: Tag } | { kind: "manifest" | "blob"; id: Digest };

/** A row of the outbox. `mayLandUntil`: an earlier write of it may land until then. */
type OutboxRow = RowName & { version: number; mayLandUntil: number | null };

/** A row that is being written. `batch`: the batch that it belongs to; writes of the batch may land until that time. */
type Mark = OutboxRow & { batch?: { id: number; until: number } };

/** The outcome of a write. If it failed, the outcome is not known: it may have landed, or land later. */
type Outcome = { mark: Mark; isKnown: boolean; isDelete: boolean };

/** How many rows are written at once. */
const writesAtOnce = 6;
/** How many rows a batch has at most: all writes must end before any may land late. */
const batchSize = 24;
/** When the alarm checks whether the object died during a batch. */
const lostBatchAfterMs = 30_000;
/** Marked rows are written after their transaction; where the object dies before, by the alarm after this time. */
const alarmAfterMs = 1_000;
const [retryMs, flushBudgetMs] = [5_000, 10_000];
/** How many rows a flush writes at most: KV takes 1,000 operations of one invocation. */
const mostWrites = 500;

/** The outbox of one ledger. */
export class Outbox implements Feature {
  readonly tables = { outbox: "awaited", flights: "awaited" } as const;

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
    // keys: a JSON array of RowName; at: when to look whether the batch is lost; until: a write of it may land until
    // then.
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
  /** Reads the current value of a row; `undefined` if there should be no row. Set by the feature of the manifests. */
  readValue: (key: ReplicaKey) => ReplicaValue | undefined = () => undefined;
  /** The names of the rows that are being written. */
  readonly #inFlight = new Set<string>();
  readonly #batchesUnderWay = new Set<number>();
  /** Rows that the current transaction has marked and that have no row in `outbox`. */
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

  /** Marks the rows that a query returns in a column `id`. `parameters` are the query's. */
  markAll(tx: Tx, kind: ReplicaKey["kind"], query: string, ...parameters: string[]): void {
    if (this.#host.replica === undefined) return;
    const now = this.#host.clock.now();
    const add = `INSERT INTO outbox (kind, id, version, at) SELECT ?, id, 1, ? FROM (${query}) WHERE true
      ON CONFLICT DO UPDATE SET version = version + 1, at = excluded.at`;
    tx.write(add, kind, now, ...parameters);
    this.#host.due.set(tx, outboxJob, "", now + alarmAfterMs);
  }

  /** Whether a row may be stale in KV, or a write of it may land late. */
  isMarked(key: ReplicaKey): boolean {
    const row = nameOf(key);
    const inBatch = `SELECT 1 FROM flights, json_each(flights.keys)
      WHERE value ->> 'kind' = ? AND value ->> 'id' = ? LIMIT 1`;
    return this.#hasRow(row) || hasRow(this.#host.sql, inBatch, row.kind, row.id);
  }

  #hasRow({ kind, id }: RowName): boolean {
    return hasRow(this.#host.sql, "SELECT 1 FROM outbox WHERE kind = ? AND id = ?", kind, id);
  }

  /** How many rows are stale in KV. Rows whose write will only be repeated as a precaution are not counted. */
  backlog(): number {
    const behind =
      "SELECT count(*) AS count FROM outbox WHERE unsettled_until IS NULL OR at != unsettled_until";
    return oneRow<{ count: number }>(this.#host.sql, behind).count;
  }

  /**
   * Runs the work of a transaction, and claims the rows that it marks and others that are due. The caller must
   * {@link flush} the claimed rows.
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

  /** Claims rows of `outbox` that are due and not being written. */
  #claim(tx: Tx): Mark[] {
    if (this.#host.replica === undefined) return [];
    const now = this.#host.clock.now();
    const due = `SELECT kind, id, version, unsettled_until AS mayLandUntil FROM outbox
      WHERE at <= ? ORDER BY at LIMIT ?`;
    const most = writesAtOnce + this.#inFlight.size;
    const rows = readRows<OutboxRow>(this.#host.sql, due, now, most);
    const marks: Mark[] = rows.filter((mark) => !this.#inFlight.has(textOf(mark)));
    for (const mark of marks) this.#set(tx, mark, "unsettled_until", now + this.#repeatMs);
    return marks;
  }

  /** Claims marked rows without a row in `outbox`, as one batch. */
  #beginBatch(tx: Tx, marked: RowName[]): Mark[] {
    // A row that a query has marked again has a row in `outbox` now.
    const fresh = marked.filter((row) => !this.#hasRow(row));
    if (fresh.length === 0) return [];
    const now = this.#host.clock.now();
    const until = now + this.#repeatMs;
    const add = "INSERT INTO flights (keys, at, until) VALUES (?, ?, ?) RETURNING id";
    const { id } = tx.writeOne<{ id: number }>(add, JSON.stringify(fresh), now + lostBatchAfterMs, until);
    return fresh.map((row) => ({ ...row, version: 0, mayLandUntil: null, batch: { id, until } }));
  }

  /** Writes the claimed rows and then others that are due, within a budget; then the alarm continues. Never throws. */
  async flush(repository: RepositoryName, claimed = this.#change((tx) => this.#claim(tx))): Promise<void> {
    const { due, clock, replica } = this.#host;
    const deadline = clock.now() + flushBudgetMs;
    let [written, marks] = [0, claimed];
    for (; replica !== undefined && marks.length > 0; marks = this.#change((tx) => this.#claim(tx))) {
      await this.#writeAll(replica, repository, marks);
      written += marks.length;
      if (clock.now() <= deadline && written < mostWrites) continue;
      this.#change((tx) => tellBacklogLater(tx, due, clock.now()));
      break;
    }
    this.#change((tx) => this.#reschedule(tx));
  }

  /**
   * Writes rows whose claim has been committed, and records what came of it. Where that fails, their rows say when they
   * are written again.
   */
  async #writeAll(replica: Replica, repository: RepositoryName, marks: Mark[]): Promise<void> {
    // What was claimed at once has one batch at most.
    const batch = marks.find((mark) => mark.batch !== undefined)?.batch?.id;
    if (batch !== undefined) this.#batchesUnderWay.add(batch);
    for (const mark of marks) this.#inFlight.add(textOf(mark));
    try {
      const outcomes: Outcome[] = [];
      for (let start = 0; start < marks.length; start += writesAtOnce) {
        const group = marks.slice(start, start + writesAtOnce);
        outcomes.push(...(await Promise.all(group.map((mark) => this.#write(replica, repository, mark)))));
      }
      // One transaction for all, so that they are one write to the ledger's storage.
      this.#change((tx) => {
        for (const outcome of outcomes) this.#settle(tx, outcome);
        if (batch !== undefined) tx.write("DELETE FROM flights WHERE id = ?", batch);
      });
    } finally {
      for (const mark of marks) this.#inFlight.delete(textOf(mark));
      if (batch !== undefined) this.#batchesUnderWay.delete(batch);
    }
  }

  async #write(replica: Replica, repository: RepositoryName, mark: Mark): Promise<Outcome> {
    const key = keyOf(mark);
    try {
      const value = this.readValue(key);
      if (value === undefined) await replica.delete(repository, key);
      else await replica.put(repository, key, value);
      return { mark, isKnown: true, isDelete: value === undefined };
    } catch (error) {
      log("warn", "replica write failed", { repository, ...key, error: String(error) });
      return { mark, isKnown: false, isDelete: false };
    }
  }

  #change<T>(work: (tx: Tx) => T): T {
    return transaction(this.#host.storage, work);
  }

  /** Decides after a write whether the row is done, or when it is written again. */
  #settle(tx: Tx, { mark, isKnown, isDelete }: Outcome): void {
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
    // An earlier write may still land after this one. The row is written again once it cannot land any more.
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

  /** Moves the rows of batches during which the object died to `outbox`. */
  #recover(tx: Tx, rows: DueRow[]): void {
    const query = "SELECT keys, until FROM flights WHERE id = ?";
    for (const id of rows.map((row) => Number(row.id))) {
      if (this.#batchesUnderWay.has(id)) continue;
      for (const { keys, until } of readRows<{ keys: string; until: number }>(this.#host.sql, query, id)) {
        for (const row of JSON.parse(keys) as RowName[]) {
          this.#keep(tx, row, this.#host.clock.now(), until);
          this.#markRow(tx, row);
        }
      }
      tx.write("DELETE FROM flights WHERE id = ?", id);
    }
  }

  /** Schedules a row to be written again at a time. If it was marked meanwhile, its own time stays. */
  #keep(tx: Tx, { kind, id }: RowName, at: number, mayLandUntil: number): void {
    const keep = `INSERT INTO outbox (kind, id, version, at, unsettled_until) VALUES (?, ?, 1, ?, ?)
      ON CONFLICT DO UPDATE SET unsettled_until = max(coalesce(unsettled_until, 0), excluded.unsettled_until)`;
    tx.write(keep, kind, id, at, mayLandUntil);
  }

  #set(tx: Tx, { kind, id }: RowName, column: "at" | "unsettled_until", time: number | null): void {
    tx.write(`UPDATE outbox SET ${column} = ? WHERE kind = ? AND id = ?`, time, kind, id);
  }

  /** Schedules the alarm for the rows that are left. Without a replica, they are dropped. */
  #reschedule(tx: Tx): void {
    const { sql, due, clock, replica } = this.#host;
    if (replica === undefined) {
      if (!due.has(outboxJob)) return;
      tx.write("DELETE FROM outbox");
    }
    const first = oneRow<{ at: number | null }>(sql, "SELECT min(at) AS at FROM outbox").at;
    if (first === null) due.clear(tx, outboxJob, "");
    // A row in flight is due now; its writer reschedules again when it has ended.
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
