/**
 * The rows of upload sessions: where each stands, its parts in the bucket, and the bytes after the last whole part. An
 * object keeps one session, or on one machine many.
 */

import { type Origin, registryItself } from "../../oci/event.ts";
import type { Digest } from "../../oci/reference.ts";
import type { UploadSession } from "../../rpc/upload-channel.ts";
import type { MultipartUpload, StoredPart } from "../../storage/bucket.ts";
import { eachRow, hasRow, oneRow, readRows, type Tx } from "../sql.ts";
import type { UploadTables } from "./schema.ts";

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

/** Whether it has ended. */
export function isOver({ state }: UploadRow): boolean {
  return state === "finished" || state === "cancelled";
}

const bytesPerRow = 1024 * 1024;

/** A session that is not written yet. */
type Begun = { session: UploadSession; row: UploadRow; opened: Opened; whenKept: () => void };

/** Who opened a session, and when; and when it is due to expire. */
type Opened = { actor: string; atMs: number; dueAt: number };

/** A session's rows in SQL. */
export class UploadStore {
  readonly #sql: SqlStorage;
  readonly #tables: UploadTables;
  readonly #id: string;
  #begun: Begun | undefined;

  constructor(sql: SqlStorage, tables: UploadTables, id: string) {
    this.#sql = sql;
    this.#tables = tables;
    this.#id = id;
  }

  /**
   * Begins a session. It is written, and `whenKept` called, with the first bytes or state of it, so that a small chunk
   * is one transaction.
   */
  begin(
    session: UploadSession,
    { key, partBytes }: Pick<UploadRow, "key" | "partBytes">,
    opened: Opened,
    whenKept: () => void,
  ): void {
    const row: UploadRow = { state: "open", key, uploadId: null, partBytes, offset: 0, digest: null };
    this.#begun = { session, row, opened, whenKept };
  }

  /** Writes a session that was begun, unless it is written. To be called before anything of it is stored elsewhere. */
  keep(tx: Tx): void {
    if (this.#begun === undefined) return;
    const { session, row, opened, whenKept } = this.#begun;
    const { dueAt, ...origin } = opened;
    this.#begun = undefined;
    this.#tables.make(tx);
    tx.write(
      `INSERT INTO sessions (id, repository, algorithm, state, key, part_bytes, offset, origin, due_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      session.id,
      session.repository,
      session.algorithm,
      row.state,
      row.key,
      row.partBytes,
      row.offset,
      JSON.stringify(origin),
      dueAt,
    );
    whenKept();
  }

  /** When the session is due, to expire or to be forgotten. */
  dueAt(): number {
    if (this.#begun !== undefined) return this.#begun.opened.dueAt;
    return oneRow<{ at: number }>(this.#sql, "SELECT due_at AS at FROM sessions WHERE id = ?", this.#id).at;
  }

  setDue(tx: Tx, dueAt: number): void {
    tx.write("UPDATE sessions SET due_at = ? WHERE id = ?", dueAt, this.#id);
  }

  /** Notes how the session ended, and until when that is remembered. */
  end(tx: Tx, state: UploadState, digest: Digest | null, dueAt: number): void {
    this.keep(tx);
    const end = "UPDATE sessions SET state = ?, digest = ?, due_at = ? WHERE id = ?";
    tx.write(end, state, digest, dueAt, this.#id);
  }

  /** Whether the session ever took bytes, or is about to. */
  exists(): boolean {
    if (this.#begun !== undefined) return true;
    if (!this.#tables.exist()) return false;
    return hasRow(this.#sql, "SELECT 1 FROM sessions WHERE id = ?", this.#id);
  }

  /** The session's identity. */
  session(): UploadSession {
    if (this.#begun !== undefined) return this.#begun.session;
    return oneRow<UploadSession>(
      this.#sql,
      "SELECT id, repository, algorithm FROM sessions WHERE id = ?",
      this.#id,
    );
  }

  /** Who opened the session, which must be open, and when; unknown if an earlier release opened it. */
  opened(): Opened | undefined {
    if (this.#begun !== undefined) return this.#begun.opened;
    const { origin } = oneRow<{ origin: string | null }>(
      this.#sql,
      "SELECT origin FROM sessions WHERE id = ?",
      this.#id,
    );
    return origin === null ? undefined : JSON.parse(origin);
  }

  read(): UploadRow {
    if (this.#begun !== undefined) return this.#begun.row;
    return oneRow<UploadRow>(
      this.#sql,
      `SELECT state, key, upload_id AS uploadId, part_bytes AS partBytes, offset, digest
         FROM sessions WHERE id = ?`,
      this.#id,
    );
  }

  setState(tx: Tx, state: UploadState, digest: Digest | null = null): void {
    this.keep(tx);
    tx.write("UPDATE sessions SET state = ?, digest = ? WHERE id = ?", state, digest, this.#id);
  }

  /** Notes that the session has all its bytes: their claimed digest, and who claims it. */
  close(tx: Tx, digest: Digest, origin: Origin): void {
    this.keep(tx);
    tx.write(
      "UPDATE sessions SET state = 'closing', digest = ?, origin = ? WHERE id = ?",
      digest,
      JSON.stringify(origin),
      this.#id,
    );
  }

  /** Who closed the session; unknown if an earlier release closed it. */
  origin(): Origin {
    const { origin } = oneRow<{ origin: string | null }>(
      this.#sql,
      "SELECT origin FROM sessions WHERE id = ?",
      this.#id,
    );
    return origin === null ? registryItself : JSON.parse(origin);
  }

  setMultipart(tx: Tx, upload: MultipartUpload): void {
    tx.write("UPDATE sessions SET upload_id = ? WHERE id = ?", upload.uploadId, this.#id);
  }

  parts(): StoredPart[] {
    return readRows<StoredPart>(
      this.#sql,
      "SELECT number AS partNumber, etag FROM session_pieces WHERE session = ? AND is_tail = 0 ORDER BY number",
      this.#id,
    );
  }

  partCount(): number {
    const count = "SELECT count(*) AS count FROM session_pieces WHERE session = ? AND is_tail = 0";
    return oneRow<{ count: number }>(this.#sql, count, this.#id).count;
  }

  /** Notes a stored part: it holds the tail, and what came after it. */
  addPart(tx: Tx, part: StoredPart, sizeBytes: number): void {
    const added = sizeBytes - this.tailLength();
    const add = "INSERT INTO session_pieces (session, is_tail, number, etag) VALUES (?, 0, ?, ?)";
    tx.write(add, this.#id, part.partNumber, part.etag);
    tx.write("DELETE FROM session_pieces WHERE session = ? AND is_tail = 1", this.#id);
    this.#grow(tx, added);
  }

  /** Keeps bytes that do not fill a part yet. */
  appendTail(tx: Tx, bytes: Uint8Array): void {
    if (bytes.byteLength > 0) this.#grow(tx, bytes.byteLength);
    this.keep(tx);
    const append = `INSERT INTO session_pieces (session, is_tail, number, bytes)
      SELECT ?1, 1, 1 + coalesce(max(number), 0), ?2 FROM session_pieces WHERE session = ?1 AND is_tail = 1`;
    for (let start = 0; start < bytes.byteLength; start += bytesPerRow) {
      tx.write(append, this.#id, bytes.slice(start, start + bytesPerRow));
    }
  }

  #grow(tx: Tx, addedBytes: number): void {
    if (this.#begun !== undefined) this.#begun.row.offset += addedBytes;
    else tx.write("UPDATE sessions SET offset = offset + ? WHERE id = ?", addedBytes, this.#id);
  }

  /** Copies the tail to the front of a buffer that has room for it; returns its length in bytes. */
  readTail(into: Uint8Array): number {
    if (this.#begun !== undefined) return 0;
    let length = 0;
    const tail = "SELECT bytes FROM session_pieces WHERE session = ? AND is_tail = 1 ORDER BY number";
    for (const row of eachRow<{ bytes: ArrayBuffer }>(this.#sql, tail, this.#id)) {
      into.set(new Uint8Array(row.bytes), length);
      length += row.bytes.byteLength;
    }
    return length;
  }

  /** The tail. */
  readWholeTail(): Uint8Array {
    const tail = new Uint8Array(this.tailLength());
    this.readTail(tail);
    return tail;
  }

  /** How many bytes the tail has. */
  tailLength(): number {
    if (this.#begun !== undefined) return 0;
    const sum = `SELECT coalesce(sum(length(bytes)), 0) AS length FROM session_pieces
      WHERE session = ? AND is_tail = 1`;
    return oneRow<{ length: number }>(this.#sql, sum, this.#id).length;
  }

  /** Forgets bytes and parts, when they belong to somebody else or are deleted. */
  clearBytes(tx: Tx): void {
    tx.write("DELETE FROM session_pieces WHERE session = ?", this.#id);
  }

  /** Forgets the session. */
  delete(tx: Tx): void {
    this.clearBytes(tx);
    tx.write("DELETE FROM sessions WHERE id = ?", this.#id);
  }
}
