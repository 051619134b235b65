/**
 * How an upload session keeps where it stands: its parts in the bucket, and the bytes after the last whole part.
 */
import type { Digest } from "../../oci/digest.ts";
import { type Origin, registryItself } from "../../oci/event.ts";
import type { MultipartUpload, StoredPart } from "../../storage/bucket.ts";
import { DueTable } from "../due.ts";
import { applySchema, type Schema } from "../schema.ts";
import type { UploadSession } from "../upload-channel.ts";

/**
 * `open`: takes bytes. `closing`: has all of them, not yet put together and verified. `finishing`: verified; its
 * bytes belong to the digest's shard from here on. `finished` and `cancelled` are ends.
 */
export type UploadState = "open" | "closing" | "finishing" | "finished" | "cancelled";

/**
 * What is kept of a session. `offset` is how many bytes are stored: whole parts and the tail. All parts of an upload
 * must be of one size, so it keeps the one it began with.
 */
export type UploadRow = {
  state: UploadState;
  key: string;
  uploadId: string | null;
  partBytes: number;
  offset: number;
  digest: Digest | null;
};

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

const schema: Schema = [tables + DueTable.schema, closer, DueTable.dropIndex];

const bytesPerRow = 1024 * 1024;

/** A session's rows in SQL. A session that took no byte yet has no tables. */
export class UploadStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /** Makes the tables and the session. */
  create(session: UploadSession, key: string, partBytes: number): void {
    applySchema(this.#sql, schema);
    this.#sql.exec(
      `INSERT INTO session (only, id, repository, algorithm, state, key, part_bytes, offset)
       VALUES (1, ?, ?, ?, 'open', ?, ?, 0)`,
      session.id,
      session.repository,
      session.algorithm,
      key,
      partBytes,
    );
  }

  /** Opens a session that was kept, perhaps by an earlier release; whether there is one. */
  open(): boolean {
    if (!this.exists()) return false;
    applySchema(this.#sql, schema);
    return true;
  }

  /** Whether the session ever took bytes. */
  exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'session'").toArray().length > 0;
  }

  /** The session's identity. */
  session(): UploadSession {
    return this.#sql.exec<UploadSession>("SELECT id, repository, algorithm FROM session").one();
  }

  read(): UploadRow {
    return this.#sql
      .exec<UploadRow>(
        "SELECT state, key, upload_id AS uploadId, part_bytes AS partBytes, offset, digest FROM session",
      )
      .one();
  }

  setState(state: UploadState, digest: Digest | null = null): void {
    this.#sql.exec("UPDATE session SET state = ?, digest = ?", state, digest);
  }

  /** Notes who closes the session. */
  setOrigin(origin: Origin): void {
    this.#sql.exec("UPDATE session SET origin = ?", JSON.stringify(origin));
  }

  /** Who closed the session; of one that an earlier release closed it is not known. */
  origin(): Origin {
    const { origin } = this.#sql.exec<{ origin: string | null }>("SELECT origin FROM session").one();
    return origin === null ? registryItself : JSON.parse(origin);
  }

  setMultipart(upload: MultipartUpload): void {
    this.#sql.exec("UPDATE session SET upload_id = ?", upload.uploadId);
  }

  parts(): StoredPart[] {
    return this.#sql
      .exec<StoredPart>("SELECT number AS partNumber, etag FROM parts ORDER BY number")
      .toArray();
  }

  partCount(): number {
    return this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM parts").one().count;
  }

  /** Notes a stored part: it holds the tail, and what came after it. */
  addPart(part: StoredPart, sizeBytes: number): void {
    this.#storage.transactionSync(() => {
      const added = sizeBytes - this.#tailLength();
      this.#sql.exec("INSERT INTO parts (number, etag) VALUES (?, ?)", part.partNumber, part.etag);
      this.#sql.exec("DELETE FROM tail");
      this.#sql.exec("UPDATE session SET offset = offset + ?", added);
    });
  }

  /** Keeps bytes that do not fill a part yet. */
  appendTail(bytes: Uint8Array): void {
    this.#storage.transactionSync(() => {
      for (let start = 0; start < bytes.byteLength; start += bytesPerRow) {
        this.#sql.exec("INSERT INTO tail (bytes) VALUES (?)", bytes.slice(start, start + bytesPerRow));
      }
      this.#sql.exec("UPDATE session SET offset = offset + ?", bytes.byteLength);
    });
  }

  /** Copies the tail to the front of a buffer that has room for it; returns its length in bytes. */
  readTail(into: Uint8Array): number {
    let length = 0;
    for (const row of this.#sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM tail ORDER BY row")) {
      into.set(new Uint8Array(row.bytes), length);
      length += row.bytes.byteLength;
    }
    return length;
  }

  /** The tail. */
  readWholeTail(): Uint8Array {
    const tail = new Uint8Array(this.#tailLength());
    this.readTail(tail);
    return tail;
  }

  #tailLength(): number {
    return this.#sql
      .exec<{ length: number }>("SELECT coalesce(sum(length(bytes)), 0) AS length FROM tail")
      .one().length;
  }

  /** Forgets parts and tail of a session that has ended. */
  clearBytes(): void {
    this.#sql.exec("DELETE FROM parts");
    this.#sql.exec("DELETE FROM tail");
  }
}
