/**
 * How a ledger keeps which blobs may be read through its repository, and which upload sessions have ended.
 */

import type { Digest } from "../../oci/digest.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { SessionState } from "../api.ts";
import type { DueColumn } from "../due.ts";
import { firstRow, hasRow, inPieces, oneRow, readRows, type Tx } from "../sql.ts";

/** A linked blob. `renewedAtMs`: when a client last was told that it is there, who may rely on it still. */
export type BlobLink = BlobLocation & { renewedAtMs: number; isReplicated: boolean };

type BlobRow = { digest: Digest; key: string; size: number; renewed_at: number; replicated: number };

/** The job that unlinks blobs which nothing references. One that a manifest was seen to reference is not due. */
export const unlinkJob = "unlink";

/** Where it is written when a blob is due. */
export const unlinkColumn: DueColumn = {
  table: "blobs",
  id: "digest",
  at: "unlink_at",
  isDue: "unlink_at IS NOT NULL",
};

const unused = `FROM blobs WHERE unlink_at > ?
  AND NOT EXISTS (SELECT 1 FROM manifest_references WHERE manifest_references.digest = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.subject = blobs.digest)`;

/** Blob links and closed sessions in SQL. */
export class BlobLinkStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(digest: string): BlobLink | undefined {
    const row = firstRow<BlobRow>(this.#sql, "SELECT * FROM blobs WHERE digest = ?", digest);
    return (
      row && {
        digest: row.digest,
        key: row.key,
        sizeBytes: row.size,
        renewedAtMs: row.renewed_at,
        isReplicated: row.replicated === 1,
      }
    );
  }

  /** Where a linked blob is. */
  location(digest: string): BlobLocation | undefined {
    return firstRow<BlobLocation>(
      this.#sql,
      "SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest = ?",
      digest,
    );
  }

  /** Links a blob at this location, where it may be unlinked from a time on; or renews its link. */
  write(tx: Tx, location: BlobLocation, now: number, unlinkAt: number): void {
    tx.write(
      `INSERT INTO blobs (digest, key, size, renewed_at, unlink_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET key = excluded.key, size = excluded.size, renewed_at = excluded.renewed_at`,
      location.digest,
      location.key,
      location.sizeBytes,
      now,
      unlinkAt,
    );
  }

  /** Lets a blob be unlinked from a time on, if nothing references it then; `null`: something does. */
  unlinkFrom(tx: Tx, digest: string, unlinkAt: number | null): void {
    tx.write("UPDATE blobs SET unlink_at = ? WHERE digest = ?", unlinkAt, digest);
  }

  /** Notes that these blobs were in use until now. */
  renew(tx: Tx, digests: string[], now: number): void {
    const renew = "UPDATE blobs SET renewed_at = ? WHERE digest IN (SELECT value FROM json_each(?))";
    inPieces(digests, (json) => tx.write(renew, now, json));
  }

  /** Blobs that nothing references and that go later than `now`, of which nobody was told after a time. */
  unused(now: number, toldBy: number, limit: number): string[] {
    return readRows<{ digest: string }>(
      this.#sql,
      `SELECT digest ${unused} AND renewed_at <= ? LIMIT ?`,
      now,
      toldBy,
      limit,
    ).map((row) => row.digest);
  }

  /** When somebody was last told of such a blob after that time. */
  latestUnused(now: number, toldBy: number): number | undefined {
    const latest = `SELECT max(renewed_at) AS at ${unused} AND renewed_at > ?`;
    return oneRow<{ at: number | null }>(this.#sql, latest, now, toldBy).at ?? undefined;
  }

  /** Notes that nothing references a blob any more: when somebody was last told of it, and when it may be unlinked. */
  release(tx: Tx, digest: string, toldAt: number, unlinkAt: number): void {
    tx.write("UPDATE blobs SET renewed_at = ?, unlink_at = ? WHERE digest = ?", toldAt, unlinkAt, digest);
  }

  delete(tx: Tx, digest: string): void {
    tx.write("DELETE FROM blobs WHERE digest = ?", digest);
  }

  /** The digests of linked blobs after `last`, in order. */
  page(last: string, limit: number): string[] {
    return readRows<{ digest: string }>(
      this.#sql,
      "SELECT digest FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
      last,
      limit,
    ).map((row) => row.digest);
  }

  /** Which of the digests are linked. */
  held(digests: string[]): string[] {
    const held = "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(?))";
    const rows = inPieces(digests, (json) => readRows<{ digest: string }>(this.#sql, held, json));
    return rows.map((row) => row.digest);
  }

  /**
   * Notes that a manifest references these: those that are linked are not due to be unlinked. Returns those of them that
   * have no replica row yet; from now on they count as having one.
   */
  reference(tx: Tx, digests: string[]): string[] {
    const unreplicated = `SELECT digest FROM blobs
      WHERE replicated = 0 AND digest IN (SELECT value FROM json_each(?))`;
    const reference = `UPDATE blobs SET replicated = 1, unlink_at = NULL
      WHERE (replicated = 0 OR unlink_at IS NOT NULL) AND digest IN (SELECT value FROM json_each(?))`;
    return inPieces(digests, (json) => {
      const rows = readRows<{ digest: string }>(this.#sql, unreplicated, json);
      tx.write(reference, json);
      return rows.map((row) => row.digest);
    });
  }

  /**
   * Ends a session with this outcome, `null` for cancelled, to be forgotten from a time on. False when it has ended with
   * another one before.
   */
  closeSession(tx: Tx, id: string, digest: string | null, forgetAt: number): boolean {
    const before = this.sessionState(id);
    if (before.state === "finished") return before.digest === digest;
    if (before.state === "cancelled") return digest === null;
    tx.write("INSERT INTO closed_sessions (id, digest, forget_at) VALUES (?, ?, ?)", id, digest, forgetAt);
    return true;
  }

  sessionState(id: string): SessionState {
    const row = firstRow<{ digest: string | null }>(
      this.#sql,
      "SELECT digest FROM closed_sessions WHERE id = ?",
      id,
    );
    if (row === undefined) return { state: "open" };
    return row.digest === null ? { state: "cancelled" } : { state: "finished", digest: row.digest };
  }

  hasClosedSessions(): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM closed_sessions LIMIT 1");
  }

  /** Forgets those of the next sessions after one that are due by now; returns the last that was looked at. */
  forgetSessions(tx: Tx, after: string, limit: number, now: number): string | undefined {
    const page = "SELECT id FROM closed_sessions WHERE id > ? ORDER BY id LIMIT ?";
    const last = readRows<{ id: string }>(this.#sql, page, after, limit).at(-1)?.id;
    if (last === undefined) return undefined;
    tx.write("DELETE FROM closed_sessions WHERE id > ? AND id <= ? AND forget_at <= ?", after, last, now);
    return last;
  }
}
