/** The tables of a shard, and how those of earlier releases become them. */
import { type DueColumn, DueTable } from "../due.ts";
import type { Schema } from "../schema.ts";

const tables = `
  CREATE TABLE IF NOT EXISTS blobs (
    digest TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    size INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holders (
    digest TEXT NOT NULL,
    repository TEXT NOT NULL,
    version INTEGER NOT NULL,
    drop_after INTEGER NOT NULL,
    PRIMARY KEY (digest, repository)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS stray_keys (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    state TEXT NOT NULL
  ) WITHOUT ROWID;
`;

/** Why a key's bytes are deleted, and how many they are: for the log and the metrics. */
const reasons = `
  ALTER TABLE stray_keys ADD COLUMN reason TEXT NOT NULL DEFAULT 'not needed';
  ALTER TABLE stray_keys ADD COLUMN size INTEGER;
`;

/** For finding the digest of a key. */
const byKey = "CREATE INDEX blobs_by_key ON blobs (key)";

/** A scrub found bytes that are not the digest's. They are kept until a push brings the right ones. */
const faults = "ALTER TABLE blobs ADD COLUMN faulty INTEGER NOT NULL DEFAULT 0";

/**
 * The highest version of a holder that was dropped, above which new versions begin; and the keys that could not be
 * read, for as long as it is not known whether the store is at fault or they are.
 */
const droppedHolders = `
  CREATE TABLE dropped_holders (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL);
  CREATE TABLE read_failures (
    key TEXT PRIMARY KEY,
    tries INTEGER NOT NULL,
    since INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

/** What had a row in `due` for each holder and each scheduled deletion has its time in a column. */
const dueByThemselves = `
  ALTER TABLE holders ADD COLUMN ask_at INTEGER;
  UPDATE holders SET ask_at = due.at FROM due
    WHERE due.kind = 'holder'
    AND holders.digest = substr(due.id, 1, instr(due.id, ' ') - 1)
    AND holders.repository = substr(due.id, instr(due.id, ' ') + 1);
  CREATE INDEX holders_to_ask ON holders (ask_at) WHERE ask_at IS NOT NULL;
  ALTER TABLE stray_keys ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
  UPDATE stray_keys SET due_at = due.at, state = iif(due.kind = 'forget', 'deleted', state) FROM due
    WHERE due.kind IN ('doom', 'delete', 'forget') AND due.id = stray_keys.key;
  CREATE INDEX stray_keys_by_state ON stray_keys (state, due_at);
  DELETE FROM due WHERE kind IN ('holder', 'doom', 'delete', 'forget');
`;

/** The hashes of the segments of large blobs, one after the other, by their keys. */
const segments = `
  CREATE TABLE segments (key TEXT PRIMARY KEY, hashes BLOB NOT NULL) WITHOUT ROWID;
`;

/** A step that changes no table. */
const noSql = "";

/** The tables of a shard whose bytes are in R2. */
export const shardSchema: Schema = [
  tables + DueTable.schema,
  reasons,
  byKey,
  faults,
  droppedHolders,
  dueByThemselves,
  DueTable.dropIndex,
  { compatible: segments },
  { compatible: noSql },
];

/**
 * The same on one machine. There the last step is not compatible: releases that do not know it do not find the files
 * that have all bytes of a key (storage/disk-files.ts), and would take them for lost.
 */
export const shardSchemaOnDisk: Schema = shardSchema.with(-1, noSql);

/** The jobs of a shard whose rows say themselves when they are due. */
export const shardColumns: Record<"holder" | "doom" | "delete" | "forget", DueColumn> = {
  holder: { table: "holders", id: "digest || ' ' || repository", at: "ask_at", isDue: "ask_at IS NOT NULL" },
  doom: { table: "stray_keys", id: "key", at: "due_at", isDue: "state = 'doomed'" },
  delete: { table: "stray_keys", id: "key", at: "due_at", isDue: "state = 'tombstone'" },
  forget: { table: "stray_keys", id: "key", at: "due_at", isDue: "state = 'deleted'" },
};
