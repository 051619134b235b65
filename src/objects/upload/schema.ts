/** The tables of upload sessions, and how those of earlier releases become them. */
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import { sessionJob } from "./jobs.ts";

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

/** Who closed the session, as JSON. */
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

const schema: Schema = [tables + DueTable.schema, closer, several, DueTable.dropIndex];

/** The tables of an object. There are none before a session of it takes bytes. */
export class UploadTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    if (this.exist()) this.make();
  }

  /** Whether there are tables, perhaps of an earlier release. */
  exist(): boolean {
    const names = "SELECT 1 FROM sqlite_master WHERE name IN ('sessions', 'session')";
    return this.#sql.exec(names).toArray().length > 0;
  }

  /** Makes them, or brings those of an earlier release up to date. */
  make(): void {
    applySchema(this.#sql, schema);
  }

  /** Whether they hold no session. There must be tables. */
  areEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM sessions LIMIT 1").toArray().length === 0;
  }
}
