/**
 * The rows of a shard: digests, who holds them, and the objects in the bucket that are going to be deleted.
 */
import type { Digest, RepositoryName } from "../../oci/reference.ts";
import { type Amount, type ShardUsage, sumOf } from "../../rpc/upkeep.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { applySchema, type Schema } from "../schema.ts";
import {
  eachRow,
  firstRow,
  hasRow,
  hasTable,
  oneRow,
  readRows,
  type TransactionalStorage,
  type Tx,
  transaction,
} from "../sql.ts";
import { shardSchema } from "./schema.ts";

/**
 * A repository's hold on a digest. The version grows with each lease, and whenever the repository may have given the
 * digest up. Versions never begin again, even if the hold was dropped in between. `leasedUntil`: when the last lease
 * ends. `askAt`: when to ask whether it still holds the digest; `null` if it said so, and nothing has happened since.
 */
export type Holder = { version: number; leasedUntil: number; askAt: number | null };

/** What is wrong with the bytes of a digest: they are missing or others; or they could not be read, repeatedly. */
export type Fault = "wrong" | "unreadable";

/** How often the bytes of a digest could not be read, and since when, in milliseconds since 1970. */
export type ReadFailures = { tries: number; since: number };

/**
 * An object in the bucket that is not the content of a digest, and will be deleted. States: `doomed`, its upload is in
 * progress or was interrupted, and it may still be adopted; `tombstone`, it can no longer be adopted; `deleted`, its
 * bytes were deleted once, and will be once more.
 *
 * `reason`: why it is deleted, for the log. `sizeBytes`: `null` if unknown. `dueAt`: when it enters the next state.
 */
export type ScheduledDeletion = {
  digest: Digest;
  state: "doomed" | "tombstone" | "deleted";
  reason: string;
  sizeBytes: number | null;
  dueAt: number;
};

/** Whether a key can no longer be adopted. */
export function isTombstone(deletion: ScheduledDeletion | undefined): boolean {
  return deletion !== undefined && deletion.state !== "doomed";
}

/** How the faults are kept in the column `faulty`. */
const faultCodes: Record<Fault, number> = { wrong: 1, unreadable: 2 };

/** A shard's rows in SQL. */
export class ShardStore {
  readonly #sql: SqlStorage;
  readonly #schema: Schema;

  /** `schema`: {@link shardSchema}, or that of shards whose bytes are on disk. */
  constructor(storage: TransactionalStorage, schema: Schema = shardSchema) {
    this.#sql = storage.sql;
    this.#schema = schema;
    if (this.exists()) transaction(storage, (tx) => applySchema(tx, schema));
  }

  /** Whether the shard has any data. Reading from a shard without data must not store anything. */
  exists(): boolean {
    return hasTable(this.#sql, "blobs");
  }

  /** Makes the tables if there are none. */
  create(tx: Tx): void {
    if (!this.exists()) applySchema(tx, this.#schema);
  }

  blob(digest: string): BlobLocation | undefined {
    return firstRow<BlobLocation>(
      this.#sql,
      "SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest = ?",
      digest,
    );
  }

  setBlob(tx: Tx, blob: BlobLocation): void {
    tx.write(
      "INSERT OR REPLACE INTO blobs (digest, key, size) VALUES (?, ?, ?)",
      blob.digest,
      blob.key,
      blob.sizeBytes,
    );
  }

  /** The hashes of the segments of a blob, by its key; `undefined` if there is one segment, or nobody hashed them. */
  segments(key: string): Uint8Array | undefined {
    const query = "SELECT hashes FROM segments WHERE key = ?";
    const row = firstRow<{ hashes: ArrayBuffer }>(this.#sql, query, key);
    return row && new Uint8Array(row.hashes);
  }

  setSegments(tx: Tx, key: string, hashes: Uint8Array): void {
    tx.write("INSERT OR REPLACE INTO segments (key, hashes) VALUES (?, ?)", key, hashes);
  }

  /** Forgets what is known of bytes that are going to be deleted. */
  forgetBytes(tx: Tx, key: string): void {
    this.clearReadFailures(tx, key);
    tx.write("DELETE FROM segments WHERE key = ?", key);
  }

  /** What a scrub found to be wrong with the bytes of a digest. */
  fault(digest: string): Fault | undefined {
    const row = firstRow<{ faulty: number }>(this.#sql, "SELECT faulty FROM blobs WHERE digest = ?", digest);
    return (Object.keys(faultCodes) as Fault[]).find((fault) => faultCodes[fault] === row?.faulty);
  }

  /** Notes what a scrub found. If the digest gets other bytes, they have no fault until one is found. */
  setFault(tx: Tx, digest: string, fault: Fault | undefined): void {
    const wanted = fault === undefined ? 0 : faultCodes[fault];
    tx.write("UPDATE blobs SET faulty = ? WHERE digest = ? AND faulty != ?", wanted, digest, wanted);
  }

  /** How often a key could not be read lately; `undefined` if it could. */
  readFailures(key: string): ReadFailures | undefined {
    return firstRow<ReadFailures>(this.#sql, "SELECT tries, since FROM read_failures WHERE key = ?", key);
  }

  /** Counts that a key could not be read once more. */
  addReadFailure(tx: Tx, key: string, now: number): void {
    tx.write(
      "INSERT INTO read_failures (key, tries, since) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1",
      key,
      now,
    );
  }

  /** Forgets how often a key could not be read. */
  clearReadFailures(tx: Tx, key: string): void {
    tx.write("DELETE FROM read_failures WHERE key = ?", key);
  }

  /** The blobs after a digest, in order. */
  page(last: string, limit: number): BlobLocation[] {
    return readRows<BlobLocation>(
      this.#sql,
      "SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
      last,
      limit,
    );
  }

  /** Which of the keys are neither the content of a digest nor scheduled for deletion. */
  unknownKeys(keys: string[]): string[] {
    return readRows<{ value: string }>(
      this.#sql,
      `SELECT value FROM json_each(?)
         WHERE value NOT IN (SELECT key FROM blobs WHERE key = value)
         AND value NOT IN (SELECT key FROM stray_keys WHERE key = value)`,
      JSON.stringify(keys),
    ).map((row) => row.value);
  }

  /** Whether a key is the content of a digest. */
  isContent(key: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM blobs WHERE key = ?", key);
  }

  deleteBlob(tx: Tx, digest: string): void {
    tx.write("DELETE FROM blobs WHERE digest = ?", digest);
  }

  /**
   * Renews a repository's hold. Returns its new version, which is at least the clock's milliseconds: so it is higher
   * than all earlier versions even if the shard was put back to an earlier state.
   */
  hold(
    tx: Tx,
    digest: string,
    repository: string,
    { leasedUntil, askAt }: Omit<Holder, "version">,
    now: number,
  ): number {
    return tx.writeOne<{ version: number }>(
      `INSERT INTO holders (digest, repository, version, drop_after, ask_at)
         VALUES (?1, ?2, max(1 + coalesce((SELECT version FROM dropped_holders WHERE only = 1), 0), ?3), ?4, ?5)
         ON CONFLICT DO UPDATE SET version = max(version + 1, ?3), drop_after = ?4, ask_at = ?5 RETURNING version`,
      digest,
      repository,
      now,
      leasedUntil,
      askAt,
    ).version;
  }

  /** Gives a repository's hold, if there is one, a new version, and has it asked at a time. */
  touchHolder(tx: Tx, digest: string, repository: string, askAt: number): void {
    tx.write(
      "UPDATE holders SET version = version + 1, ask_at = ? WHERE digest = ? AND repository = ?",
      askAt,
      digest,
      repository,
    );
  }

  /** Schedules a question to a holder; `null`: none until something changes. */
  askHolder(tx: Tx, digest: string, repository: string, askAt: number | null): void {
    tx.write("UPDATE holders SET ask_at = ? WHERE digest = ? AND repository = ?", askAt, digest, repository);
  }

  holder(digest: string, repository: string): Holder | undefined {
    return firstRow<Holder>(
      this.#sql,
      "SELECT version, drop_after AS leasedUntil, ask_at AS askAt FROM holders WHERE digest = ? AND repository = ?",
      digest,
      repository,
    );
  }

  /** Has at most `limit` holders asked at once whose last lease has ended; returns how many. */
  askAfterLeases(tx: Tx, now: number, limit: number): number {
    const ended = `UPDATE holders SET ask_at = ?1 WHERE ask_at IS NOT NULL AND (digest, repository) IN (
      SELECT digest, repository FROM holders WHERE ask_at > ?1 AND drop_after <= ?1 LIMIT ?2) RETURNING 1`;
    return tx.write(ended, now, limit).length;
  }

  /** When the last of the running leases ends; 0 if none is running. */
  leasedUntil(now: number): number {
    const last = "SELECT max(drop_after) AS until FROM holders WHERE ask_at > ?1 AND drop_after > ?1";
    return oneRow<{ until: number | null }>(this.#sql, last, now).until ?? 0;
  }

  holders(digest: string, limit: number): RepositoryName[] {
    return readRows<{ repository: RepositoryName }>(
      this.#sql,
      "SELECT repository FROM holders WHERE digest = ? ORDER BY repository LIMIT ?",
      digest,
      limit,
    ).map((row) => row.repository);
  }

  /**
   * The holders of a digest whose names begin with a text, in order, read one by one. `mayHaveLeft`: the holder has
   * reported that it may have given the digest up, and was not asked since.
   */
  holdersFrom(
    digest: string,
    prefix: string,
    limit: number,
    now: number,
  ): Iterable<{ repository: RepositoryName; mayHaveLeft: 0 | 1 }> {
    // Every character of a name comes before "~". Who reports is asked at once, or at the very end of its lease.
    const query = `SELECT repository, ask_at IS NOT NULL AND (ask_at <= ?4 OR ask_at = drop_after) AS mayHaveLeft
      FROM holders WHERE digest = ?1 AND repository >= ?2 AND repository < ?2 || '~' ORDER BY repository LIMIT ?3`;
    return eachRow(this.#sql, query, digest, prefix, limit, now);
  }

  /** Drops a repository's hold. If it gets another one, that will have a higher version. */
  dropHolder(tx: Tx, digest: string, repository: string): void {
    tx.write(
      `INSERT INTO dropped_holders (only, version)
       SELECT 1, version FROM holders WHERE digest = ? AND repository = ?
       ON CONFLICT DO UPDATE SET version = max(version, excluded.version)`,
      digest,
      repository,
    );
    tx.write("DELETE FROM holders WHERE digest = ? AND repository = ?", digest, repository);
  }

  scheduledDeletion(key: string): ScheduledDeletion | undefined {
    return firstRow<ScheduledDeletion>(
      this.#sql,
      "SELECT digest, state, reason, size AS sizeBytes, due_at AS dueAt FROM stray_keys WHERE key = ?",
      key,
    );
  }

  scheduleDeletion(tx: Tx, key: string, deletion: ScheduledDeletion): void {
    tx.write(
      "INSERT OR REPLACE INTO stray_keys (key, digest, state, reason, size, due_at) VALUES (?, ?, ?, ?, ?, ?)",
      key,
      deletion.digest,
      deletion.state,
      deletion.reason,
      deletion.sizeBytes,
      deletion.dueAt,
    );
  }

  cancelDeletion(tx: Tx, key: string): void {
    tx.write("DELETE FROM stray_keys WHERE key = ?", key);
  }

  /** How much is stored. The size of keys that are going to be deleted may not be known. */
  usage(): ShardUsage {
    const sum = (table: string) =>
      oneRow<Amount>(this.#sql, `SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM ${table}`);
    const unheld = "EXISTS (SELECT 1 FROM due WHERE kind = 'drop' AND id = digest)";
    return {
      blobs: sum(`blobs WHERE NOT ${unheld}`),
      leaving: sumOf(sum("stray_keys WHERE state = 'tombstone'"), sum(`blobs WHERE ${unheld}`)),
    };
  }
}
