/** The tables of upload sessions, how those of earlier releases become them, and what is due about a session. */
import { type DueColumn, DueTable } from "../due.ts";
import { applySchema, createWhole, type Schema } from "../schema.ts";
import { hasRow, readRows, type TransactionalStorage, type Tx, transaction } from "../sql.ts";

/**
 * The job that ends a session that nobody came back to, and forgets one that has ended. Its time is a column of the
 * session.
 */
export const sessionJob = "session";

/** The jobs of the `due` table that delete what an abandoned session left, and adopt what a session verified. */
export const cleanJob = "clean";
export const adoptJob = "adopt";

/** When an adoption that failed is tried again. */
export const adoptAgainMs = 30_000;

const tables = `
  CREATE TABLE IF NOT EXISTS session (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    repository TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL,
    upload_id TEXT,
    part_bytes INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    digest TEXT
  );
  CREATE TABLE IF NOT EXISTS parts (number INTEGER PRIMARY KEY, etag TEXT NOT NULL);
  -- The bytes after the last part, in the order of their rows of at most 1 MiB.
  CREATE TABLE IF NOT EXISTS tail (row INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
`;

/** Who closed the session, as JSON; as long as it is open, who opened it and when. */
const closer = "ALTER TABLE session ADD COLUMN origin TEXT";

/** Several sessions in one object. */
const several = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL,
    upload_id TEXT,
    part_bytes INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    digest TEXT,
    origin TEXT
  ) WITHOUT ROWID;
  CREATE TABLE session_parts (
    session TEXT NOT NULL,
    number INTEGER NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (session, number)
  ) WITHOUT ROWID;
  -- The bytes after the last part, in the order of their rows of at most 1 MiB.
  CREATE TABLE session_tails (
    session TEXT NOT NULL,
    row INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (session, row)
  ) WITHOUT ROWID;
  INSERT INTO sessions
    SELECT id, repository, algorithm, state, key, upload_id, part_bytes, offset, digest, origin FROM session;
  INSERT INTO session_parts SELECT id, number, etag FROM session, parts;
  INSERT INTO session_tails SELECT id, row, bytes FROM session, tail;
  UPDATE OR REPLACE due SET
    id = (SELECT id FROM sessions),
    kind = CASE kind WHEN 'clean' THEN kind WHEN 'adopt' THEN kind ELSE '${sessionJob}' END;
  DROP TABLE session;
  DROP TABLE parts;
  DROP TABLE tail;
`;

/**
 * Bytes: parts in the bucket by their etags, and the tail, what comes after the last part, in rows of at most 1 MiB.
 */
const pieces = `
  CREATE TABLE session_pieces (
    session TEXT NOT NULL,
    is_tail INTEGER NOT NULL,
    number INTEGER NOT NULL,
    etag TEXT,
    bytes BLOB,
    PRIMARY KEY (session, is_tail, number)
  ) WITHOUT ROWID;
`;

const byTime = "CREATE INDEX sessions_by_time ON sessions (due_at);";

/** Each session has the time when it is due, and its bytes are in one table. */
const fewerTables = `
  ALTER TABLE sessions ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET due_at = due.at FROM due WHERE due.kind = '${sessionJob}' AND due.id = sessions.id;
  DELETE FROM due WHERE kind = '${sessionJob}';
  ${byTime}
  ${pieces}
  INSERT INTO session_pieces SELECT session, 0, number, etag, NULL FROM session_parts;
  INSERT INTO session_pieces SELECT session, 1, row, NULL, bytes FROM session_tails;
  DROP TABLE session_parts;
  DROP TABLE session_tails;
`;

/** The steps to the tables. */
export const uploadSchema: Schema = [
  tables + DueTable.schema,
  closer,
  several,
  fewerTables,
  DueTable.dropIndex,
];

/** What these steps make. The `due` table comes with its first row, which most objects never have. */
export const wholeUpload = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL,
    upload_id TEXT,
    part_bytes INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    digest TEXT,
    origin TEXT,
    due_at INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;
  ${byTime}
  ${pieces}
`;

/** The jobs whose rows say themselves when they are due. */
export const uploadColumns: Record<string, DueColumn> = {
  [sessionJob]: { table: "sessions", id: "id", at: "due_at", isDue: "true" },
};

/** The tables of an object. There are none until a session of it takes bytes. */
export class UploadTables {
  readonly #sql: SqlStorage;

  constructor(storage: TransactionalStorage) {
    this.#sql = storage.sql;
    if (this.exist()) transaction(storage, (tx) => this.make(tx));
  }

  /** Whether there are tables, perhaps of an earlier release. */
  exist(): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM sqlite_master WHERE name IN ('sessions', 'session')");
  }

  /** Makes them, or brings those of an earlier release up to date. */
  make(tx: Tx): void {
    if (this.exist()) applySchema(tx, uploadSchema);
    else createWhole(tx, uploadSchema, wholeUpload);
  }

  /** The ids of sessions that take bytes. */
  openSessions(limit: number): string[] {
    if (!this.exist()) return [];
    const open = "SELECT id FROM sessions WHERE state = 'open' ORDER BY id LIMIT ?";
    return readRows<{ id: string }>(this.#sql, open, limit).map(({ id }) => id);
  }

  /** Whether they hold no session. There must be tables. */
  areEmpty(): boolean {
    return !hasRow(this.#sql, "SELECT 1 FROM sessions LIMIT 1");
  }
}
