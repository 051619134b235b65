/**
 * How a shard keeps digests, who holds them, and the keys that are to be deleted.
 */
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { applySchema } from "../schema.ts";
import type { Amount, ShardUsage } from "../upkeep.ts";
import { shardSchema } from "./schema.ts";

/**
 * A repository's hold on a digest. The version grows with each lease and whenever the repository may have given it up;
 * it never begins again, also where the hold was dropped in between. `leasedUntil`: when its last lease ends; `askAt`:
 * when it is asked whether it holds the digest still, `null`: it said so, and nothing has happened since.
 */
export type Holder = { version: number; leasedUntil: number; askAt: number | null };

/** What a scrub found of a digest's bytes: they are not there, or others; or they could not be read, time and again. */
export type Fault = "wrong" | "unreadable";

/** How often the bytes of a digest could not be read, and since when, in milliseconds since 1970. */
export type ReadFailures = { tries: number; since: number };

/**
 * A key that holds no digest's content: it is doomed (may yet be adopted) or a tombstone (may not), whose bytes are going
 * to be deleted, or were `deleted` once. `reason`: why its bytes go, for the log; `sizeBytes`: how many they are, `null`
 * where nobody knows; `dueAt`: when it gets into the next state.
 */
export type StrayKey = {
  digest: Digest;
  state: "doomed" | "tombstone" | "deleted";
  reason: string;
  sizeBytes: number | null;
  dueAt: number;
};

/** Whether a key was given up: nothing adopts it any more. */
export function isGivenUp(stray: StrayKey | undefined): boolean {
  return stray !== undefined && stray.state !== "doomed";
}

/** How the faults are kept in the column `faulty`. */
const faultCodes: Record<Fault, number> = { wrong: 1, unreadable: 2 };

/** A shard's rows in SQL. Nothing here opens a transaction; the shard does. */
export class BlobsStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    if (this.exists()) applySchema(sql, shardSchema);
  }

  /** Whether the shard was ever told of a digest. Asking one that was not stores nothing. */
  exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'blobs'").toArray().length > 0;
  }

  /** Makes the tables, where there are none. */
  create(): void {
    if (!this.exists()) applySchema(this.#sql, shardSchema);
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

  /** What a scrub found to be wrong with the bytes of a digest. */
  fault(digest: string): Fault | undefined {
    const [row] = this.#sql
      .exec<{ faulty: number }>("SELECT faulty FROM blobs WHERE digest = ?", digest)
      .toArray();
    return (Object.keys(faultCodes) as Fault[]).find((fault) => faultCodes[fault] === row?.faulty);
  }

  /** Notes what a scrub found. Other bytes for the digest have no fault, until one is found. */
  setFault(digest: string, fault: Fault | undefined): void {
    const wanted = fault === undefined ? 0 : faultCodes[fault];
    this.#sql.exec("UPDATE blobs SET faulty = ? WHERE digest = ? AND faulty != ?", wanted, digest, wanted);
  }

  /** How often a key could not be read of late; `undefined` where it could. */
  readFailures(key: string): ReadFailures | undefined {
    return this.#sql
      .exec<ReadFailures>("SELECT tries, since FROM read_failures WHERE key = ?", key)
      .toArray()[0];
  }

  /** Counts one more time that a key could not be read. */
  addReadFailure(key: string, now: number): void {
    this.#sql.exec(
      "INSERT INTO read_failures (key, tries, since) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1",
      key,
      now,
    );
  }

  /** Forgets how often a key could not be read. */
  clearReadFailures(key: string): void {
    this.#sql.exec("DELETE FROM read_failures WHERE key = ?", key);
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

  /** Whether a key is the content of a digest. */
  isContent(key: string): boolean {
    return this.#sql.exec("SELECT 1 FROM blobs WHERE key = ?", key).toArray().length > 0;
  }

  deleteBlob(digest: string): void {
    this.#sql.exec("DELETE FROM blobs WHERE digest = ?", digest);
  }

  /**
   * Renews a repository's hold; returns its new version, which is the clock's milliseconds or more: so it is higher than
   * all before it also where the shard was put back to an earlier state.
   */
  hold(
    digest: string,
    repository: string,
    { leasedUntil, askAt }: Omit<Holder, "version">,
    now: number,
  ): number {
    return this.#sql
      .exec<{ version: number }>(
        `INSERT INTO holders (digest, repository, version, drop_after, ask_at)
         VALUES (?1, ?2, max(1 + coalesce((SELECT version FROM dropped_holders WHERE only = 1), 0), ?3), ?4, ?5)
         ON CONFLICT DO UPDATE SET version = max(version + 1, ?3), drop_after = ?4, ask_at = ?5 RETURNING version`,
        digest,
        repository,
        now,
        leasedUntil,
        askAt,
      )
      .one().version;
  }

  /** Gives a repository's hold, if it has one, a new version, and has it asked at a time. */
  touchHolder(digest: string, repository: string, askAt: number): void {
    this.#sql.exec(
      "UPDATE holders SET version = version + 1, ask_at = ? WHERE digest = ? AND repository = ?",
      askAt,
      digest,
      repository,
    );
  }

  /** Has a holder asked at a time; `null`: not before something happens. */
  askHolder(digest: string, repository: string, askAt: number | null): void {
    this.#sql.exec(
      "UPDATE holders SET ask_at = ? WHERE digest = ? AND repository = ?",
      askAt,
      digest,
      repository,
    );
  }

  holder(digest: string, repository: string): Holder | undefined {
    return this.#sql
      .exec<Holder>(
        "SELECT version, drop_after AS leasedUntil, ask_at AS askAt FROM holders WHERE digest = ? AND repository = ?",
        digest,
        repository,
      )
      .toArray()[0];
  }

  /** Has holders asked at once whose last lease has ended, at most so many; returns how many. */
  askAfterLeases(now: number, limit: number): number {
    const ended = `UPDATE holders SET ask_at = ?1 WHERE ask_at IS NOT NULL AND (digest, repository) IN (
      SELECT digest, repository FROM holders WHERE ask_at > ?1 AND drop_after <= ?1 LIMIT ?2) RETURNING 1`;
    return this.#sql.exec(ended, now, limit).toArray().length;
  }

  /** When the last of the leases ends that are under way; 0 where none is. */
  leasedUntil(now: number): number {
    const last = "SELECT max(drop_after) AS until FROM holders WHERE ask_at > ?1 AND drop_after > ?1";
    return this.#sql.exec<{ until: number | null }>(last, now).one().until ?? 0;
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

  /** Drops a repository's hold. If it gets another one, that has a higher version than this had. */
  dropHolder(digest: string, repository: string): void {
    this.#sql.exec(
      `INSERT INTO dropped_holders (only, version)
       SELECT 1, version FROM holders WHERE digest = ? AND repository = ?
       ON CONFLICT DO UPDATE SET version = max(version, excluded.version)`,
      digest,
      repository,
    );
    this.#sql.exec("DELETE FROM holders WHERE digest = ? AND repository = ?", digest, repository);
  }

  strayKey(key: string): StrayKey | undefined {
    return this.#sql
      .exec<StrayKey>(
        "SELECT digest, state, reason, size AS sizeBytes, due_at AS dueAt FROM stray_keys WHERE key = ?",
        key,
      )
      .toArray()[0];
  }

  setStrayKey(key: string, stray: StrayKey): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO stray_keys (key, digest, state, reason, size, due_at) VALUES (?, ?, ?, ?, ?, ?)",
      key,
      stray.digest,
      stray.state,
      stray.reason,
      stray.sizeBytes,
      stray.dueAt,
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
    const unheld = "EXISTS (SELECT 1 FROM due WHERE kind = 'drop' AND id = digest)";
    const strays = sum("stray_keys WHERE state = 'tombstone'");
    const dropped = sum(`blobs WHERE ${unheld}`);
    return {
      blobs: sum(`blobs WHERE NOT ${unheld}`),
      leaving: { objects: strays.objects + dropped.objects, bytes: strays.bytes + dropped.bytes },
    };
  }
}
