/**
 * The tables of one repository's ledger.
 *
 * They are made by the first write: asking an object about a repository that does not exist stores nothing.
 */

import type { RepositoryName } from "../../oci/name.ts";
import type { RepositoryInfo } from "../api.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import { hasTable, readRows, type TransactionalStorage, type Tx, transaction } from "../sql.ts";
import { eventsSchema, plainEvents } from "./events.ts";
import { batchesSchema } from "./outbox.ts";
import { rereadStep } from "./reread.ts";

const tables = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;

  -- Bytes lie apart, in rows of at most 1 MiB: a row holds 2 MB.
  CREATE TABLE IF NOT EXISTS manifests (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    pushed_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS manifests_by_subject ON manifests (subject, digest) WHERE subject IS NOT NULL;
  CREATE TABLE IF NOT EXISTS manifest_bytes (
    digest TEXT NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (digest, part)
  );

  -- What each manifest names: blobs, and manifests of an index. The subject is not among them.
  CREATE TABLE IF NOT EXISTS manifest_references (
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (manifest, digest)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS references_by_digest ON manifest_references (digest);

  CREATE TABLE IF NOT EXISTS tags (
    tag TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    moved_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (digest);
  -- Every move; to_digest is null where the tag was deleted. Its key is the ledger's sequence number.
  CREATE TABLE IF NOT EXISTS tag_history (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tag TEXT NOT NULL,
    from_digest TEXT,
    to_digest TEXT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS tag_history_by_tag ON tag_history (tag, sequence);

  -- The blobs that may be read through this repository. replicated: its row is in KV, or is going there.
  CREATE TABLE IF NOT EXISTS blobs (
    digest TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    replicated INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;

  -- Upload sessions that ended; digest is null where they were cancelled.
  CREATE TABLE IF NOT EXISTS closed_sessions (id TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;

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
`;

/** Manifests that were deleted and may come back; their bytes stay in manifest_bytes. tags is a JSON array. */
const trash = `
  CREATE TABLE deleted_manifests (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    tags TEXT NOT NULL
  ) WITHOUT ROWID;
`;

/** The tags of a deleted manifest in rows of their own: together they may be more than a value holds. */
const trashTags = `
  CREATE TABLE deleted_tags (digest TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (digest, tag)) WITHOUT ROWID;
  INSERT INTO deleted_tags (digest, tag)
    SELECT DISTINCT deleted_manifests.digest, value FROM deleted_manifests, json_each(deleted_manifests.tags);
  ALTER TABLE deleted_manifests DROP COLUMN tags;
`;

/** The leases on which nothing will be linked any more, of each digest the last; see leases.ts. */
const voidLeases = `
  CREATE TABLE void_leases (
    digest TEXT PRIMARY KEY,
    lease INTEGER NOT NULL,
    voided_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

/** What had a row in `due` for each blob and each session has its time in a column. */
const dueByThemselves = `
  ALTER TABLE blobs ADD COLUMN unlink_at INTEGER;
  UPDATE blobs SET unlink_at = due.at FROM due WHERE due.kind = 'unlink' AND due.id = blobs.digest;
  CREATE INDEX blobs_to_unlink ON blobs (unlink_at) WHERE unlink_at IS NOT NULL;
  ALTER TABLE closed_sessions ADD COLUMN forget_at INTEGER NOT NULL DEFAULT 0;
  UPDATE closed_sessions SET forget_at = due.at FROM due
    WHERE due.kind = 'forget-session' AND due.id = closed_sessions.id;
  DELETE FROM due WHERE kind IN ('unlink', 'forget-session');
  INSERT INTO due (kind, id, at) SELECT 'forget-sessions', '', 0 FROM closed_sessions LIMIT 1;
`;

const schema: Schema = [
  tables + DueTable.schema,
  trash,
  eventsSchema,
  trashTags,
  voidLeases,
  rereadStep,
  dueByThemselves + batchesSchema + plainEvents,
  DueTable.dropIndex,
];

/** Makes the tables, and keeps the name of the repository, which an object does not know of itself. */
export function createSchema(tx: Tx, name: RepositoryName, now: number): void {
  applySchema(tx, schema);
  // A repository of this name may have been deleted: sequence numbers that were seen then must be lower.
  tx.write("INSERT INTO tag_history (sequence, tag, at, actor) VALUES (?, '', 0, '')", now);
  tx.write("DELETE FROM tag_history");
  tx.write("INSERT INTO meta (key, value) VALUES ('name', ?)", name);
}

/**
 * Makes a ledger whose repository was deleted one that was never founded. It still knows which leases are void, and how
 * far its sequence numbers got.
 */
export function forgetContent(tx: Tx): void {
  for (const table of ["tag_history", "closed_sessions"]) tx.write(`DELETE FROM ${table}`);
  tx.write("DELETE FROM due WHERE kind = 'forget-sessions'");
  tx.write("DELETE FROM meta WHERE key != 'name'");
}

/** Opens a ledger that was written before, perhaps by an earlier release; `undefined` where it never was. */
export function openSchema(storage: TransactionalStorage): Meta | undefined {
  if (!hasTable(storage.sql, "meta")) return undefined;
  transaction(storage, (tx) => applySchema(tx, schema));
  return readMeta(storage.sql);
}

/**
 * What the ledger says of its repository as a whole. `isFounded`: something was pushed to it; until then the ledger
 * only remembers sessions that were cancelled. `isDeleting`: it is gone, but KV may not know yet.
 */
export type Meta = RepositoryInfo & {
  isFounded: boolean;
  isDeleting: boolean;
  /** The `UNTAGGED_TTL`, in milliseconds, under which the manifests were last looked through. */
  untaggedTtl: string | undefined;
};

/** Reads what {@link createSchema} and {@link writeMeta} kept. */
export function readMeta(sql: SqlStorage): Meta {
  const found = readRows<{ key: string; value: string }>(sql, "SELECT key, value FROM meta");
  const values = new Map(found.map((row) => [row.key, row.value]));
  return {
    name: values.get("name") as RepositoryName,
    visibility: values.get("visibility") === "public" ? "public" : "private",
    description: values.get("description") ?? "",
    isFounded: values.get("founded") === "yes",
    isDeleting: values.get("deleting") === "yes",
    untaggedTtl: values.get("untagged-ttl"),
  };
}

/** Keeps a value of {@link Meta}. */
export function writeMeta(
  tx: Tx,
  key: "visibility" | "description" | "founded" | "deleting" | "untagged-ttl",
  value: string,
): void {
  tx.write("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
}
