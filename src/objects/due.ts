/**
 * Scheduled jobs of an object. Each is a row that is due at a time; the alarm is set to the earliest.
 *
 * The platform runs an alarm at least once, perhaps late, and gives up after six failures in a row. So the runner
 * catches every error, postpones what failed or takes too long, and sets the next alarm when it is done. If the previous
 * run died, it sets the next alarm before it does anything else.
 *
 * Setting an alarm is billed as a row, and on one machine it is several writes to a disk. So no alarm is set if an
 * earlier one is set already, and none is moved to a later time: the early alarm finds nothing due, and sets the right
 * one.
 */
import type { Clock } from "../clock.ts";
import { log } from "../log.ts";
import { answerWithin, TimedOut, withTimeout } from "../timeout.ts";
import { firstRow, hasRow, hasTable, readRows, type Tx, transaction } from "./sql.ts";

/** A row that is due: its id, and since when, in milliseconds since 1970. */
export type DueRow<Id extends string = string> = { id: Id; at: number };

/**
 * Runs the jobs of one kind. It must remove each row or move it into the future. Rows that it leaves unchanged are
 * postponed; rows that became due meanwhile are run again. Both happen even if it throws.
 */
export type DueJob = (rows: DueRow[]) => Promise<void>;

/** A job whose rows have ids of one type. Only the code of the job writes such rows, so the type is not checked. */
export function jobOn<Id extends string>(job: (rows: DueRow<Id>[]) => Promise<void>): DueJob {
  return (given) => job(given as DueRow<Id>[]);
}

/**
 * A table that says in a column of its own when a row is due, so that no row in `due` is needed: a push writes some of
 * these for every blob. `id` is SQL for the id that the job gets, `isDue` for which rows are due at all. There must be
 * an index that finds those by their time.
 */
export type DueColumn = { table: string; id: string; at: string; isDue: string };

const batchSize = 100;
const postponeMs = 30_000;
const jobBudgetMs = 10_000;
/** How long one run of a job may take. Its rows are postponed then, and other jobs go on. */
const mostJobMs = 150_000;
/** How long a run that somebody asked for takes in all: who asks gives up a call after two minutes. */
const mostRequestedMs = 30_000;
const farFuture = Number.MAX_SAFE_INTEGER;

/**
 * An alarm that is this late will never run: the local runtime still reports the time of an alarm that it gave up.
 */
const lostMs = 300_000;

/** The kinds of jobs that the table has, by one look-up in its index for each. */
const withKinds = `WITH RECURSIVE kinds(kind) AS (
    SELECT min(kind) FROM due
    UNION ALL SELECT (SELECT min(kind) FROM due WHERE kind > kinds.kind) FROM kinds WHERE kind IS NOT NULL
  )`;

/** The table `due(kind, id, at)` of an object, rows of other tables that are due, and the alarm. */
export class DueTable {
  readonly #storage: DurableObjectStorage;
  readonly #clock: Clock;
  readonly #columns: Record<string, DueColumn>;
  #armedAt: number | undefined;
  /** Whether the object is still finding out which alarm is set. */
  #isWaking = false;
  #running: Promise<unknown> = Promise.resolve();
  /** The kinds of jobs that took too long and still run. They are not run a second time meanwhile. */
  readonly #overdue = new Set<string>();
  /** How many runs of the alarm are under way or waiting. */
  #alarmRuns = 0;

  /** `columns`: the kinds of jobs whose rows are in other tables. */
  constructor(storage: DurableObjectStorage, clock: Clock, columns: Record<string, DueColumn> = {}) {
    this.#storage = storage;
    this.#clock = clock;
    this.#columns = columns;
  }

  get #sql(): SqlStorage {
    return this.#storage.sql;
  }

  /** SQL of the table, for an object's schema. */
  static readonly schema = `
    CREATE TABLE IF NOT EXISTS due (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS due_by_kind ON due (kind, at);
  `;

  /** SQL that drops an index of earlier releases, which was written with each row and which nothing needs. */
  static readonly dropIndex = "DROP INDEX IF EXISTS due_by_time";

  /** Makes a job due at a time, in milliseconds since 1970, which replaces the time it had. */
  set(tx: Tx, kind: string, id: string, at: number): void {
    // In objects that rarely need the table, its first row makes it.
    if (!this.#hasTable() && this.#isThere()) tx.write(DueTable.schema);
    tx.write(
      "INSERT INTO due (kind, id, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
      kind,
      id,
      at,
    );
  }

  /** Removes a job. */
  clear(tx: Tx, kind: string, id: string): void {
    if (!this.#hasTable()) return;
    tx.write("DELETE FROM due WHERE kind = ? AND id = ?", kind, id);
  }

  /** Makes at most `limit` jobs of a kind due now that are due later, but by `by`. Returns how many. */
  hasten(tx: Tx, kind: string, limit: number, by = farFuture): number {
    const { table, id, at, isDue } = this.#columnOf(kind);
    const hastened = tx.write(
      `UPDATE ${table} SET ${at} = ?1 WHERE ${isDue} AND ${id} IN (
         SELECT ${id} FROM ${table} WHERE ${isDue} AND ${at} > ?1 AND ${at} <= ?3 ORDER BY ${at} LIMIT ?2) RETURNING 1`,
      this.#clock.now(),
      limit,
      by,
    );
    return hastened.length;
  }

  /** When a job is due; `undefined` if it is not scheduled. */
  at(kind: string, id: string): number | undefined {
    if (!this.#hasTable()) return undefined;
    const query = "SELECT at FROM due WHERE kind = ? AND id = ?";
    return firstRow<{ at: number }>(this.#sql, query, kind, id)?.at;
  }

  /**
   * To be called first of all when the object is constructed: finds out which alarm is set, and sets one if there is
   * none.
   */
  async wake(): Promise<void> {
    this.#isWaking = true;
    try {
      const setTo = await this.#storage.getAlarm();
      if (setTo !== null && setTo > this.#clock.now() - lostMs) this.#armedAt = setTo;
    } finally {
      this.#isWaking = false;
    }
    this.#armIfThere();
  }

  /**
   * Makes sure that an alarm is set that comes no later than the earliest row. To be called after every change, outside
   * its transaction. It does nothing while the object wakes or an alarm runs, as both do the same when they end.
   *
   * `by`: when something else will soon be due for which the alarm would otherwise have to be moved.
   */
  arm(by = farFuture): void {
    if (this.#isWaking || this.#alarmRuns > 0) return;
    const first = this.#earliest();
    if (first === undefined) return;
    const earliest = Math.min(first, by);
    if (this.#armedAt !== undefined && this.#armedAt <= earliest) return;
    this.#armedAt = earliest;
    void this.#storage.setAlarm(Math.max(1, earliest));
  }

  /** To be called when the object deletes all its data and its alarm. */
  forget(): void {
    this.#armedAt = undefined;
  }

  /** When the first row of any kind is due. */
  #earliest(): number | undefined {
    const query = `${withKinds}
      SELECT min((SELECT min(at) FROM due WHERE due.kind = kinds.kind)) AS at FROM kinds` as const;
    const inTable = this.#hasTable() ? firstRow<{ at: number | null }>(this.#sql, query)?.at : null;
    const inColumns = Object.keys(this.#columns).map((kind) => this.#dueRows(kind, farFuture, 1)[0]?.at);
    const times = [inTable ?? undefined, ...inColumns].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Whether there is a job of this kind, no matter when it is due. */
  has(kind: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM due WHERE kind = ? LIMIT 1", kind);
  }

  /**
   * Runs what is due now, kind by kind in the given order, each within the budget. A second run waits for the first to
   * end. Returns whether something is still due, or under way: at most `mostMs` milliseconds later, whatever a job does.
   * Never throws.
   */
  async run(
    jobs: Record<string, DueJob>,
    budgetMs = jobBudgetMs,
    mostMs = mostRequestedMs,
  ): Promise<boolean> {
    const end = performance.now() + mostMs;
    const leftMs = () => end - performance.now();
    const running = this.#inTurn(() => this.#runAlone(jobs, budgetMs, leftMs));
    const isLeft = await withTimeout(running, mostMs, true);
    this.#armIfThere();
    return isLeft;
  }

  /** Runs what is due, as {@link run} does, when the alarm has gone off. */
  async runAlarm(jobs: Record<string, DueJob>, invocation: AlarmInvocationInfo | undefined): Promise<void> {
    this.#alarmRuns++;
    try {
      await this.#inTurn(async () => {
        this.#armedAt = undefined;
        // The platform repeats a run that died, but not for ever.
        if (invocation?.isRetry === true) await this.#armForNextTry();
        await this.#runAlone(jobs, jobBudgetMs, () => mostJobMs);
      });
    } finally {
      this.#alarmRuns--;
    }
    this.#armIfThere();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#running.then(work);
    // A failure is for the caller of that run, not for the next one.
    this.#running = running.catch(() => {});
    return running;
  }

  async #armForNextTry(): Promise<void> {
    this.#armedAt = this.#clock.now() + postponeMs;
    await this.#storage.setAlarm(this.#armedAt);
  }

  /** `leftMs`: how long a job may take that begins now. */
  async #runAlone(jobs: Record<string, DueJob>, budgetMs: number, leftMs: () => number): Promise<boolean> {
    // The previous run may have ended with the deletion of everything.
    if (!this.#isThere()) return false;
    let kinds = this.#kindsDue(jobs);
    for (const [kind, job] of Object.entries(jobs)) {
      if (!kinds.has(kind)) continue;
      const deadline = this.#clock.now() + budgetMs;
      while (this.#clock.now() <= deadline && leftMs() > 0) {
        const found = this.#dueRows(kind, this.#clock.now(), batchSize);
        if (found.length === 0) break;
        if (!this.#overdue.has(kind)) await this.#attempt(kind, job, found, Math.min(mostJobMs, leftMs()));
        this.#postpone(kind, found);
        // On one machine, objects call each other without a pause in which the runtime would accept a request. And the
        // platform's clock advances.
        await scheduler.wait(0);
        if (!this.#isThere()) return false;
      }
      // A job may have made another kind due.
      kinds = this.#kindsDue(jobs);
    }
    return kinds.size > 0 || this.#overdue.size > 0;
  }

  #armIfThere(): void {
    if (this.#isThere()) this.arm();
  }

  /** The kinds of jobs of which something is due: most alarms are about one kind, and an object may have dozens. */
  #kindsDue(jobs: Record<string, DueJob>): Set<string> {
    const now = this.#clock.now();
    const query = `${withKinds}
      SELECT kind FROM kinds WHERE EXISTS (SELECT 1 FROM due WHERE due.kind = kinds.kind AND at <= ?)` as const;
    const inTable = this.#hasTable() ? readRows<{ kind: string }>(this.#sql, query, now) : [];
    const inColumns = Object.keys(this.#columns).filter((kind) => this.#dueRows(kind, now, 1).length > 0);
    const kinds = [...inTable.map(({ kind }) => kind), ...inColumns];
    return new Set(kinds.filter((kind) => Object.hasOwn(jobs, kind)));
  }

  async #attempt(kind: string, job: DueJob, given: DueRow[], mostMs: number): Promise<void> {
    const running = job(given);
    try {
      await answerWithin(mostMs, running);
    } catch (error) {
      log("error", "job failed", { kind, error: String(error) });
      if (!(error instanceof TimedOut)) return;
      this.#overdue.add(kind);
      void running.catch(() => {}).finally(() => this.#overdue.delete(kind));
    }
  }

  /** Postpones the rows that were not changed. A changed row already has its new time. */
  #postpone(kind: string, given: DueRow[]): void {
    const { table, id, at, isDue } = this.#columnOf(kind);
    const postpone = `UPDATE ${table} SET ${at} = ?1 WHERE ${isDue} AND ${at} <= ?2
      AND (${id}, ${at}) IN (SELECT value ->> 'id', value ->> 'at' FROM json_each(?3))`;
    const until = this.#clock.now() + postponeMs;
    transaction(this.#storage, (tx) =>
      tx.write(postpone, until, given.at(-1)?.at ?? 0, JSON.stringify(given)),
    );
  }

  #hasTable(): boolean {
    return hasTable(this.#sql, "due");
  }

  /** Whether there is anything that could be due. */
  #isThere(): boolean {
    const tables = ["due", ...Object.values(this.#columns).map(({ table }) => table)];
    const named = "SELECT 1 FROM sqlite_master WHERE name IN (SELECT value FROM json_each(?)) LIMIT 1";
    return hasRow(this.#sql, named, JSON.stringify(tables));
  }

  /** The rows of a kind that are due by a time, the earliest first. */
  #dueRows(kind: string, by: number, limit: number): DueRow[] {
    if (this.#columns[kind] === undefined && !this.#hasTable()) return [];
    const { table, id, at, isDue } = this.#columnOf(kind);
    return readRows<DueRow>(
      this.#sql,
      `SELECT ${id} AS id, ${at} AS at FROM ${table} WHERE ${isDue} AND ${at} <= ? ORDER BY ${at} LIMIT ?`,
      by,
      limit,
    );
  }

  #columnOf(kind: string): DueColumn {
    return this.#columns[kind] ?? { table: "due", id: "id", at: "at", isDue: `kind = '${kind}'` };
  }
}
