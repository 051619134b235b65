/**
 * What an object has to do later: one table, whose earliest row is the object's alarm.
 *
 * The platform runs an alarm at least once, perhaps late, and gives up after six failures in a row. So the runner
 * arms the next alarm before it works, catches everything, and postpones what failed.
 */
import type { Clock } from "../env.ts";
import { logFindings, type ScrubStep, scrubJob, scrubPauseMs } from "./scrub/report.ts";

/** A row that is due: what it is about, and since when, in milliseconds since 1970. */
export type DueRow = { id: string; at: number };

/**
 * Does the jobs of one kind. It must take each row away or move it into the future; rows that nobody touches are
 * postponed, and those that others made due anew meanwhile come again. Whatever it throws changes nothing of that.
 */
export type DueJob = (rows: DueRow[]) => Promise<void>;

const batchSize = 100;
const postponeMs = 30_000;
const jobBudgetMs = 10_000;

/** The table `due(kind, id, at)` of an object, and its alarm. */
export class DueTable {
  readonly #storage: DurableObjectStorage;
  readonly #clock: Clock;
  #armedAt: number | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(storage: DurableObjectStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** SQL of the table, for an object's schema. */
  static readonly schema = `
    CREATE TABLE IF NOT EXISTS due (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS due_by_time ON due (at);
    CREATE INDEX IF NOT EXISTS due_by_kind ON due (kind, at);
  `;

  /** Makes a job due at a time, in milliseconds since 1970, whenever it was due before. */
  set(kind: string, id: string, at: number): void {
    this.#storage.sql.exec(
      "INSERT INTO due (kind, id, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
      kind,
      id,
      at,
    );
  }

  /** Takes a job away. */
  clear(kind: string, id: string): void {
    this.#storage.sql.exec("DELETE FROM due WHERE kind = ? AND id = ?", kind, id);
  }

  /** Makes jobs of a kind due now that are due later, but not after `by`, at most so many. Returns how many. */
  hasten(kind: string, limit: number, by = Number.MAX_SAFE_INTEGER): number {
    const hastened = this.#storage.sql.exec(
      `UPDATE due SET at = ?1 WHERE kind = ?2 AND id IN (
         SELECT id FROM due WHERE kind = ?2 AND at > ?1 AND at <= ?4 ORDER BY at LIMIT ?3) RETURNING id`,
      this.#clock.now(),
      kind,
      limit,
      by,
    );
    return hastened.toArray().length;
  }

  /** When the last job of a kind is due of those that are due later, within a time from now; 0 where none is. */
  lastWithin(kind: string, milliseconds: number): number {
    const now = this.#clock.now();
    const last = "SELECT max(at) AS at FROM due WHERE kind = ? AND at > ? AND at <= ?";
    const { at } = this.#storage.sql.exec<{ at: number | null }>(last, kind, now, now + milliseconds).one();
    return at ?? 0;
  }

  /** When a job is due; `undefined` when it is not. */
  at(kind: string, id: string): number | undefined {
    const [row] = this.#storage.sql
      .exec<{ at: number }>("SELECT at FROM due WHERE kind = ? AND id = ?", kind, id)
      .toArray();
    return row?.at;
  }

  /**
   * Sees to an alarm that comes no later than the earliest row. To be called after every change, outside its
   * transaction. An alarm that comes earlier is left: it finds nothing due, once, and sets itself right; to move it
   * there and back takes two more writes of every push.
   */
  arm(): void {
    const earliest = this.#earliest();
    if (earliest === undefined || (this.#armedAt !== undefined && this.#armedAt <= earliest)) return;
    this.#armedAt = earliest;
    void this.#storage.setAlarm(Math.max(1, earliest));
  }

  /** To be called when the object deletes all that it keeps, its alarm too. */
  forget(): void {
    this.#armedAt = undefined;
  }

  /** Sets the alarm to the earliest row, or none: an object with nothing to do is not woken for it. */
  #armExactly(): void {
    this.#armedAt = undefined;
    if (this.#earliest() === undefined) void this.#storage.deleteAlarm();
    else this.arm();
  }

  #earliest(): number | undefined {
    const [row] = this.#storage.sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM due").toArray();
    return row?.at ?? undefined;
  }

  /** Whether there is a job of this kind, due whenever. */
  has(kind: string): boolean {
    return this.#storage.sql.exec("SELECT 1 FROM due WHERE kind = ? LIMIT 1", kind).toArray().length > 0;
  }

  /**
   * Runs what is due now, kind by kind in the order given, each for as long as the budget says. One run at a time: a
   * second one waits for the first. Returns whether something is due still. Never throws.
   */
  run(jobs: Record<string, DueJob>, budgetMs = jobBudgetMs): Promise<boolean> {
    const running = this.#running.then(() => this.#runAlone(jobs, budgetMs));
    // One that failed fails its caller alone.
    this.#running = running.catch(() => {});
    return running;
  }

  async #runAlone(jobs: Record<string, DueJob>, budgetMs: number): Promise<boolean> {
    // The run before this one may have ended with the deletion of all that the object kept.
    if (!this.#isThere()) return false;
    let kinds = this.#kindsDue(jobs);
    if (kinds.size === 0) {
      // The alarm that this is, perhaps, has been used up.
      this.#armExactly();
      return false;
    }
    const startedAt = this.#clock.now();
    this.#armedAt = startedAt + postponeMs;
    await this.#storage.setAlarm(this.#armedAt);
    for (const [kind, job] of Object.entries(jobs)) {
      if (!kinds.has(kind)) continue;
      const deadline = this.#clock.now() + budgetMs;
      while (this.#clock.now() <= deadline) {
        const rows = this.#dueNow(kind);
        if (rows.length === 0) break;
        await this.#attempt(kind, job, rows);
      }
      // One kind of job leads to the next.
      kinds = this.#kindsDue(jobs);
    }
    this.#armExactly();
    return kinds.size > 0;
  }

  /** Those of the jobs of which something is due: most alarms are about one, and an object may have a dozen. */
  #kindsDue(jobs: Record<string, DueJob>): Set<string> {
    // A look at the index for each kind, whatever there is of it.
    const rows = this.#storage.sql
      .exec<{ kind: string }>(
        `SELECT value AS kind FROM json_each(?)
         WHERE EXISTS (SELECT 1 FROM due WHERE kind = value AND at <= ?)`,
        JSON.stringify(Object.keys(jobs)),
        this.#clock.now(),
      )
      .toArray();
    return new Set(rows.map((row) => row.kind));
  }

  /** Lets an object's own scrub begin in a while, unless it has begun, or there is none. */
  scrubLater(everyMs: number | undefined): void {
    if (everyMs !== undefined && !this.has(scrubJob)) this.set(scrubJob, "", this.#clock.now() + everyMs);
  }

  /** Does the next piece of an object's own scrub, logs what it finds, and says when the one after that is due. */
  async scrub(
    rows: DueRow[],
    everyMs: number | undefined,
    step: (after: string) => Promise<ScrubStep>,
  ): Promise<void> {
    for (const { id } of rows) {
      const done = everyMs === undefined ? undefined : await step(id);
      if (done !== undefined) logFindings(done.report);
      this.#storage.transactionSync(() => {
        this.clear(scrubJob, id);
        const next = done?.next;
        if (next !== undefined) this.set(scrubJob, next, this.#clock.now() + scrubPauseMs);
        else if (everyMs !== undefined) this.set(scrubJob, "", this.#clock.now() + everyMs);
      });
    }
  }

  async #attempt(kind: string, job: DueJob, rows: DueRow[]): Promise<void> {
    try {
      await job(rows);
    } catch (error) {
      console.error(JSON.stringify({ event: "job failed", kind, error: String(error) }));
    }
    this.#storage.sql.exec(
      `UPDATE due SET at = ? WHERE kind = ?
         AND (id, at) IN (SELECT value ->> 'id', value ->> 'at' FROM json_each(?))`,
      this.#clock.now() + postponeMs,
      kind,
      JSON.stringify(rows),
    );
  }

  #isThere(): boolean {
    return this.#storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'due'").toArray().length > 0;
  }

  #dueNow(kind: string): DueRow[] {
    return this.#storage.sql
      .exec<DueRow>(
        "SELECT id, at FROM due WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?",
        kind,
        this.#clock.now(),
        batchSize,
      )
      .toArray();
  }
}
