/** The records of retention: its last runs, the rules by which they went, and the run that waits to be confirmed. */
import type { RetentionRun, WaitingRun } from "../../rpc/policies-api.ts";
import { firstRow, hasRow, type Tx } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** How many runs say what is usual. */
const usualRuns = 7;

type Record = { accepted: string | null; waiting: string | null };

/** The records. */
export class RetentionRuns implements Feature {
  readonly tables = {
    retention: { key: ["id"], comesBack: "never" },
    retention_runs: { key: ["number"], comesBack: "never" },
  } as const;

  readonly steps = {
    12: `
  -- One row: the rules by which the last run went, or which may go, and the run that waits, as JSON.
  CREATE TABLE retention (id INTEGER PRIMARY KEY CHECK (id = 1), accepted TEXT, waiting TEXT);
  -- The last runs. The one under way has no end, and the rules that it goes by.
  CREATE TABLE retention_runs (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    rules TEXT NOT NULL,
    removed INTEGER NOT NULL,
    ended_at INTEGER
  );
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** Begins a run by these rules, which are accepted by that. */
  begin(tx: Tx, rules: string): void {
    const accept = `INSERT INTO retention (id, accepted) VALUES (1, ?)
      ON CONFLICT DO UPDATE SET accepted = excluded.accepted`;
    tx.write(accept, rules);
    this.end(tx);
    const add = "INSERT INTO retention_runs (at, rules, removed) VALUES (?, ?, 0)";
    tx.write(add, this.#host.clock.now(), rules);
    tx.write(`DELETE FROM retention_runs
      WHERE number < (SELECT max(number) FROM retention_runs) - ${usualRuns}`);
  }

  /** Whether a run by these rules is under way. */
  isUnderWay(rules: string): boolean {
    const query = "SELECT 1 FROM retention_runs WHERE ended_at IS NULL AND rules = ?";
    return hasRow(this.#host.sql, query, rules);
  }

  /** Counts what the run under way has removed. */
  count(tx: Tx, removed: number): void {
    tx.write("UPDATE retention_runs SET removed = removed + ? WHERE ended_at IS NULL", removed);
  }

  /** Ends the run under way, if there is one. */
  end(tx: Tx): void {
    const end = "UPDATE retention_runs SET ended_at = ?, rules = '' WHERE ended_at IS NULL";
    tx.write(end, this.#host.clock.now());
  }

  /** The last run, be it under way. */
  get last(): RetentionRun | undefined {
    const query = `SELECT at AS atMs, removed, ended_at AS endedAtMs FROM retention_runs
      ORDER BY number DESC LIMIT 1`;
    return firstRow<RetentionRun>(this.#host.sql, query);
  }

  /** How many tags the largest of the last runs removed; `undefined` if there was none. */
  get most(): number | undefined {
    const query = `SELECT max(removed) AS most FROM (SELECT removed FROM retention_runs
      WHERE ended_at IS NOT NULL ORDER BY number DESC LIMIT ${usualRuns})` as const;
    return firstRow<{ most: number | null }>(this.#host.sql, query)?.most ?? undefined;
  }

  /** The rules by which the last run went, or which were confirmed. */
  get accepted(): string | undefined {
    return this.#record()?.accepted ?? undefined;
  }

  /** Has a run by these rules wait. */
  wait(tx: Tx, waiting: WaitingRun, rules: string): void {
    const put = `INSERT INTO retention (id, waiting) VALUES (1, ?)
      ON CONFLICT DO UPDATE SET waiting = excluded.waiting`;
    tx.write(put, JSON.stringify({ ...waiting, rules }));
  }

  /** Says that no run waits. Returns whether one did. */
  stopWaiting(tx: Tx): boolean {
    if (this.waiting === undefined) return false;
    tx.write("UPDATE retention SET waiting = NULL");
    return true;
  }

  /** The run that waits to be confirmed. */
  get waiting(): WaitingRun | undefined {
    const waiting = this.#waiting();
    if (waiting === undefined) return undefined;
    const { rules: _, ...run } = waiting;
    return run;
  }

  /** Whether the run that waits was to go by these rules. Earlier releases did not store by which. */
  waitsBy(rules: string): boolean {
    const waiting = this.#waiting();
    return waiting !== undefined && (waiting.rules ?? rules) === rules;
  }

  #waiting(): (WaitingRun & { rules?: string }) | undefined {
    const waiting = this.#record()?.waiting;
    return waiting == null ? undefined : JSON.parse(waiting);
  }

  #record(): Record | undefined {
    return firstRow<Record>(this.#host.sql, "SELECT accepted, waiting FROM retention");
  }
}
