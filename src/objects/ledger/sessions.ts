/**
 * Upload sessions that have ended, and how they ended. So a session that never had an `Upload` object can be cancelled,
 * and a finished session accepts no more chunks.
 */
import type { Digest } from "../../oci/reference.ts";
import type { SessionState } from "../../rpc/api.ts";
import type { DueRow } from "../due.ts";
import { firstRow, hasRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that forgets sessions that ended long ago; its id is the last one that was checked. */
const forgetJob = "forget-sessions";

const sessionsAtOnce = 500;

/** The sessions that have ended. */
export class ClosedSessions implements Feature {
  readonly tables = { closed_sessions: "awaited" } as const;

  readonly steps = {
    1: `
  -- Upload sessions that ended; digest is null where they were cancelled.
  CREATE TABLE IF NOT EXISTS closed_sessions (id TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
`,
    // The time of a session moves from a row in `due` to a column.
    7: `
  ALTER TABLE closed_sessions ADD COLUMN forget_at INTEGER NOT NULL DEFAULT 0;
  UPDATE closed_sessions SET forget_at = due.at FROM due
    WHERE due.kind = 'forget-session' AND due.id = closed_sessions.id;
  DELETE FROM due WHERE kind = 'forget-session';
  INSERT INTO due (kind, id, at) SELECT 'forget-sessions', '', 0 FROM closed_sessions LIMIT 1;
`,
  };

  readonly jobs = {
    [forgetJob]: {
      atDeletion: "kept",
      run: async (due: DueRow[]) => transaction(this.#host.storage, (tx) => this.#forget(tx, due)),
    },
  } as const;

  readonly #host: LedgerHost;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** How a session ended, or that it is open. */
  state(id: string): SessionState {
    const query = "SELECT digest FROM closed_sessions WHERE id = ?";
    const row = firstRow<{ digest: Digest | null }>(this.#host.sql, query, id);
    if (row === undefined) return { state: "open" };
    return row.digest === null ? { state: "cancelled" } : { state: "finished", digest: row.digest };
  }

  /** Ends a session with the digest of its blob, or cancels it (`null`). False if it has already ended otherwise. */
  close(tx: Tx, id: string, digest: Digest | null): boolean {
    const before = this.state(id);
    if (before.state === "finished") return before.digest === digest;
    if (before.state === "cancelled") return digest === null;
    const { due, clock, settings } = this.#host;
    const forgetAt = clock.now() + settings.uploadTtlMs;
    if (!due.has(forgetJob)) due.set(tx, forgetJob, "", forgetAt);
    tx.write("INSERT INTO closed_sessions (id, digest, forget_at) VALUES (?, ?, ?)", id, digest, forgetAt);
    return true;
  }

  /**
   * Forgets sessions that ended long ago, in batches. Each is checked a few times, which costs less than writing a row
   * in `due` for it.
   */
  #forget(tx: Tx, rows: DueRow[]): void {
    const { sql, due, clock, settings } = this.#host;
    const now = clock.now();
    for (const { id: after } of rows) {
      due.clear(tx, forgetJob, after);
      const page = "SELECT id FROM closed_sessions WHERE id > ? ORDER BY id LIMIT ?";
      const last = readRows<{ id: string }>(sql, page, after, sessionsAtOnce).at(-1)?.id;
      if (last !== undefined) {
        const forget = "DELETE FROM closed_sessions WHERE id > ? AND id <= ? AND forget_at <= ?";
        tx.write(forget, after, last, now);
        due.set(tx, forgetJob, last, now);
      } else if (hasRow(sql, "SELECT 1 FROM closed_sessions LIMIT 1")) {
        due.set(tx, forgetJob, "", now + settings.uploadTtlMs / 4);
      }
    }
  }
}
