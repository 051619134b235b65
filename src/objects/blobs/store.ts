/**
 * How a shard keeps digests, who holds them, and the keys that are to be deleted.
 */
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import type { Amount, ShardUsage } from "../upkeep.ts";

/** A repository's hold on a digest. The version changes with each lease. */
export type Holder = { version: number; dropAfter: number };

/**
 * A key that holds no digest's content: it is doomed (may yet be adopted) or a tombstone (may not). `reason`: why its
 * bytes go, for the log; `sizeBytes`: how many they are, `null` where nobody knows.
 */
export type StrayKey = {
  digest: Digest;
  state: "doomed" | "tombstone";
  reason: string;
  sizeBytes: number | null;
};

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

/** Why a key's bytes go, and how many they are: for what is logged and reported. */
const reasons = `
  ALTER TABLE stray_keys ADD COLUMN reason TEXT NOT NULL DEFAULT 'not needed';
  ALTER TABLE stray_keys ADD COLUMN size INTEGER;
`;

/** For the question whose a key is. */
const byKey = "CREATE INDEX blobs_by_key ON blobs (key)";

/** A scrub found other bytes than the digest's: they are kept until better ones come. */
const faults = "ALTER TABLE blobs ADD COLUMN faulty INTEGER NOT NULL DEFAULT 0";

const schema: Schema = [tables + DueTable.schema, reasons, byKey, faults];

/** A shard's rows in SQL. Nothing here opens a transaction; the shard does. */
export class BlobsStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    if (this.exists()) applySchema(sql, schema);
  }

  /** Whether the shard was ever told of a digest. Asking one that was not stores nothing. */
  exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'blobs'").toArray().length > 0;
  }

  /** Makes the tables, where there are none. */
  create(): void {
    if (!this.exists()) applySchema(this.#sql, schema);
  }

  blob(digest: string): BlobLocation | undefined {
    return this.#sql
      .exec<BlobLocation>("SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest = ?", digest)
      .toArray()[0];
  }

  setBlob(blob: BlobLocation): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO blobs (digest, key, size) VALUES (?, ?, ?)",
      blob.digest,
      blob.key,
      blob.sizeBytes,
    );
  }

  /** Whether a scrub found that what is stored is not the digest's content. */
  isFaulty(digest: string): boolean {
    return this.#sql.exec("SELECT 1 FROM blobs WHERE digest = ? AND faulty = 1", digest).toArray().length > 0;
  }

  /** Notes what a scrub found. Other bytes for the digest are not faulty, until they are found to be. */
  setFaulty(digest: string, isFaulty: boolean): void {
    const wanted = isFaulty ? 1 : 0;
    this.#sql.exec("UPDATE blobs SET faulty = ? WHERE digest = ? AND faulty != ?", wanted, digest, wanted);
  }

  /** The blobs after a digest, in order. */
  page(last: string, limit: number): BlobLocation[] {
    return this.#sql
      .exec<BlobLocation>(
        "SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
        last,
        limit,
      )
      .toArray();
  }

  /** Which of the keys are neither the content of a digest, nor doomed, nor tombstones. */
  unknownKeys(keys: string[]): string[] {
    return this.#sql
      .exec<{ value: string }>(
        `SELECT value FROM json_each(?)
         WHERE value NOT IN (SELECT key FROM blobs WHERE key = value)
         AND value NOT IN (SELECT key FROM stray_keys WHERE key = value)`,
        JSON.stringify(keys),
      )
      .toArray()
      .map((row) => row.value);
  }

  deleteBlob(digest: string): void {
    this.#sql.exec("DELETE FROM blobs WHERE digest = ?", digest);
  }

  /** Renews a repository's hold, with a new version. */
  hold(digest: string, repository: string, dropAfter: number): void {
    this.#sql.exec(
      `INSERT INTO holders (digest, repository, version, drop_after) VALUES (?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET version = version + 1, drop_after = excluded.drop_after`,
      digest,
      repository,
      dropAfter,
    );
  }

  /** Gives a repository's hold, if it has one, a new version. */
  touchHolder(digest: string, repository: string): void {
    this.#sql.exec(
      "UPDATE holders SET version = version + 1 WHERE digest = ? AND repository = ?",
      digest,
      repository,
    );
  }

  holder(digest: string, repository: string): Holder | undefined {
    return this.#sql
      .exec<Holder>(
        "SELECT version, drop_after AS dropAfter FROM holders WHERE digest = ? AND repository = ?",
        digest,
        repository,
      )
      .toArray()[0];
  }

  holders(digest: string, limit: number): RepositoryName[] {
    return this.#sql
      .exec<{ repository: RepositoryName }>(
        "SELECT repository FROM holders WHERE digest = ? ORDER BY repository LIMIT ?",
        digest,
        limit,
      )
      .toArray()
      .map((row) => row.repository);
  }

  dropHolder(digest: string, repository: string): void {
    this.#sql.exec("DELETE FROM holders WHERE digest = ? AND repository = ?", digest, repository);
  }

  strayKey(key: string): StrayKey | undefined {
    return this.#sql
      .exec<StrayKey>("SELECT digest, state, reason, size AS sizeBytes FROM stray_keys WHERE key = ?", key)
      .toArray()[0];
  }

  setStrayKey(key: string, stray: StrayKey): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO stray_keys (key, digest, state, reason, size) VALUES (?, ?, ?, ?, ?)",
      key,
      stray.digest,
      stray.state,
      stray.reason,
      stray.sizeBytes,
    );
  }

  clearStrayKey(key: string): void {
    this.#sql.exec("DELETE FROM stray_keys WHERE key = ?", key);
  }

  /** What is stored. Of keys that are on their way out, the size may not be known. */
  usage(): ShardUsage {
    const sum = (table: string) =>
      this.#sql
        .exec<Amount>(`SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM ${table}`)
        .one();
    return {
      blobs: sum("blobs"),
      leaving: sum("stray_keys WHERE EXISTS (SELECT 1 FROM due WHERE kind = 'delete' AND id = key)"),
    };
  }
}
