import { DueTable } from "../due.ts";
import type { Schema } from "../schema.ts";
import { announcements } from "./announcements.ts";
import { knownObjects } from "./known-objects.ts";
import { laterData } from "./later-data-list.ts";

const tables = `
  CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

  -- Derived from the ledgers, for lists and searches.
  CREATE TABLE IF NOT EXISTS repositories (
    name TEXT PRIMARY KEY,
    visibility TEXT NOT NULL DEFAULT 'private',
    description TEXT NOT NULL DEFAULT ''
  ) WITHOUT ROWID;

  -- password is a JSON object of salt, hash and iterations.
  CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY,
    password TEXT,
    grants TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- grants is null where a token may what its account may. Days are days since 1970.
  CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    grants TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_day INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tokens_by_account ON tokens (account, id);

  -- JWKs. The newest signs; the others verify until they are removed.
  CREATE TABLE IF NOT EXISTS signing_keys (
    kid TEXT PRIMARY KEY,
    private_jwk TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
`;

const counts = `
  ALTER TABLE repositories ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE repositories ADD COLUMN last_pulled_at INTEGER;
  CREATE INDEX repositories_by_pulls ON repositories (pulls DESC, name) WHERE pulls > 0;
  CREATE TABLE tag_pulls (
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    pulls INTEGER NOT NULL,
    last_pulled_at INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
  ) WITHOUT ROWID;
  CREATE INDEX tag_pulls_by_time ON tag_pulls (last_pulled_at);

  -- What isolates counted, added up. labels is a JSON array.
  CREATE TABLE counters (
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (family, labels)
  ) WITHOUT ROWID;
`;

const stateOfObjects = `
  -- Uploads that said that they are open. One that was not heard of for UPLOAD_TTL is open no more.
  CREATE TABLE open_uploads (id TEXT PRIMARY KEY, seen_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX open_uploads_by_time ON open_uploads (seen_at);

  -- What ledgers said that they could not hand over, and since when.
  CREATE TABLE backlogs (
    repository TEXT NOT NULL,
    outbox TEXT NOT NULL,
    entries INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (repository, outbox)
  ) WITHOUT ROWID;
`;

/** Reports that were added up: one whose answer was lost comes again. */
const addedReports = `
  CREATE TABLE added_reports (id TEXT PRIMARY KEY, added_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX added_reports_by_time ON added_reports (added_at);
`;

const cutText = (field: string, characters: number) =>
  `'$.${field}', substr(json_extract(entry, '$.${field}'), 1, ${characters})`;

/** Entries of before are cut to what new ones are: a page of them did not fit into an answer. */
const kindsOfAudit = `
  ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'administration';
  ALTER TABLE audit ADD COLUMN actor TEXT NOT NULL DEFAULT '';
  UPDATE audit SET entry = json_replace(entry,
    ${cutText("actor", 600)}, ${cutText("action", 100)}, ${cutText("target", 400)}, ${cutText("detail", 1000)}
  ) WHERE length(entry) > 1000;
  UPDATE audit SET actor = coalesce(json_extract(entry, '$.actor'), ''), kind = CASE
    WHEN json_extract(entry, '$.outcome') IN ('denied', 'failed') THEN 'refusal'
    WHEN json_extract(entry, '$.outcome') = 'granted' OR json_extract(entry, '$.action') IN ('push', 'delete') THEN 'use'
    ELSE 'administration' END;
  CREATE INDEX audit_by_kind ON audit (kind, id);
`;

const versions = `
  -- The latest version that an account had, be it one that is gone: none is ever given twice.
  CREATE TABLE latest_version (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
  INSERT INTO latest_version SELECT 1, coalesce(max(version), 0) FROM accounts;
`;

/** The day on which a repository was last used, counted from 1970, as its ledger said. */
const daysOfUse = "ALTER TABLE repositories ADD COLUMN used_day INTEGER;";
/** Names whose ledgers keep content that was deleted with a repository, and can be restored. */
const deletedRepositories = "CREATE TABLE deleted_repositories (name TEXT PRIMARY KEY) WITHOUT ROWID;";

/** The policy document, and what waits because of it. */
const policies = `
  CREATE TABLE policies (
    version INTEGER PRIMARY KEY,
    rules TEXT NOT NULL,
    put_at INTEGER NOT NULL,
    put_by TEXT NOT NULL
  );

  -- Runs of retention that wait, as JSON.
  CREATE TABLE waiting_runs (repository TEXT PRIMARY KEY, since INTEGER NOT NULL, run TEXT NOT NULL) WITHOUT ROWID;
`;

/** Which repositories are cached ones. */
const kinds = "ALTER TABLE repositories ADD COLUMN kind TEXT;";

/** The tables of the catalog. */
export const catalogSchema: Schema = [
  tables,
  counts,
  DueTable.schema,
  stateOfObjects,
  addedReports,
  kindsOfAudit,
  versions,
  DueTable.dropIndex,
  daysOfUse,
  deletedRepositories,
  knownObjects,
  policies,
  kinds,
  { compatible: laterData },
  { compatible: announcements },
];
