import type { Schema } from "../schema.ts";

const tables = `
  CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

  -- Derived from the ledgers, for lists and searches.
  CREATE TABLE IF NOT EXISTS repositories (
    name TEXT PRIMARY KEY,
    visibility TEXT NOT NULL DEFAULT 'private',
    description TEXT NOT NULL DEFAULT ''
  ) WITHOUT ROWID;

  -- password is a JSON object of salt, hash and iterations. version changes with the password.
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

/** The tables of the catalog. */
export const catalogSchema: Schema = [tables];
