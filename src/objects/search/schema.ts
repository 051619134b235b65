import { DueTable } from "../due.ts";
import type { Schema } from "../schema.ts";
import type { Tx } from "../sql.ts";

/**
 * The job that reads all repositories again. Its id is the name after which it goes on; or that of one repository whose
 * ledger was not reached, with a mark (`idOfOne`).
 */
export const rebuildJob = "rebuild";

/** The job that removes tags of which no repository has the number any more. Its id is the number. */
export const dropTagsJob = "drop-tags";

const tables = `
  -- Derived from the ledgers. kinds and platforms are JSON arrays; days are counted from 1970.
  CREATE TABLE IF NOT EXISTS repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    visibility TEXT NOT NULL,
    description TEXT NOT NULL,
    version INTEGER NOT NULL,
    tags INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    pushed_at INTEGER,
    pushed_by TEXT,
    used_day INTEGER,
    kinds TEXT NOT NULL DEFAULT '[]',
    platforms TEXT NOT NULL DEFAULT '[]',
    pulls INTEGER NOT NULL DEFAULT 0,
    last_pulled_at INTEGER
  );
  CREATE INDEX IF NOT EXISTS public_repositories ON repositories (name) WHERE visibility = 'public';
  CREATE TABLE IF NOT EXISTS tags (
    repository INTEGER NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tags_by_name ON tags (tag);
  CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (digest);
  -- So that a late announcement does not bring back a repository that was deleted.
  CREATE TABLE IF NOT EXISTS removals (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
  ${DueTable.schema}
`;

/**
 * What the repositories hold, as JSON, and the version of the announcement that said so: a release that does not know of
 * this changes the version alone. All ledgers are asked to announce themselves again.
 */
const usage = `
  ALTER TABLE repositories ADD COLUMN usage TEXT;
  ALTER TABLE repositories ADD COLUMN usage_version INTEGER;
  INSERT OR REPLACE INTO due (kind, id, at) VALUES ('${rebuildJob}', '', 0);
`;

/** The tables. */
export const searchSchema: Schema = [tables, { compatible: usage }];

/**
 * The index of names and descriptions, which finds any three letters in a row. Returns whether there is one: where the
 * runtime has no FTS5, texts are compared one by one instead.
 */
export function createTextIndex(tx: Tx): boolean {
  try {
    tx.write(`CREATE VIRTUAL TABLE IF NOT EXISTS repository_text
      USING fts5(name, description, content='repositories', content_rowid='id', tokenize='trigram')`);
    return true;
  } catch {
    return false;
  }
}
