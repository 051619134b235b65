/**
 * How a ledger keeps which blobs may be read through its repository, and which upload sessions have ended.
 */
import type { Digest } from "../../oci/digest.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { SessionState } from "../api.ts";
import type { DueColumn } from "../due.ts";
import { inPieces } from "./in-pieces.ts";

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

/** Blob links and closed sessions in SQL. Nothing here opens a transaction; the ledger does. */
export class BlobLinkStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(digest: string): BlobLink | undefined {
    const [row] = this.#sql.exec<BlobRow>("SELECT * FROM blobs WHERE digest = ?", digest).toArray();
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
    return this.#sql
      .exec<BlobLocation>("SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest = ?", digest)
      .toArray()[0];
  }

  /** Links a blob at this location, where it may be unlinked from a time on; or renews its link. */
  write(location: BlobLocation, now: number, unlinkAt: number): void {
    this.#sql.exec(
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
  unlinkFrom(digest: string, unlinkAt: number | null): void {
    this.#sql.exec("UPDATE blobs SET unlink_at = ? WHERE digest = ?", unlinkAt, digest);
  }

  /** Notes that these blobs were in use until now. */
  renew(digests: string[], now: number): void {
    const renew = "UPDATE blobs SET renewed_at = ? WHERE digest IN (SELECT value FROM json_each(?))";
    inPieces(digests, (json) => this.#sql.exec(renew, now, json).toArray());
  }

  /** Blobs that nothing references and that go later than `now`, of which nobody was told after a time. */
  unused(now: number, toldBy: number, limit: number): string[] {
    return this.#sql
      .exec<{ digest: string }>(`SELECT digest ${unused} AND renewed_at <= ? LIMIT ?`, now, toldBy, limit)
      .toArray()
      .map((row) => row.digest);
  }

  /** When somebody was last told of such a blob after that time. */
  latestUnused(now: number, toldBy: number): number | undefined {
    const latest = `SELECT max(renewed_at) AS at ${unused} AND renewed_at > ?`;
    return this.#sql.exec<{ at: number | null }>(latest, now, toldBy).one().at ?? undefined;
  }

  /** Notes that nothing references a blob any more: when somebody was last told of it, and when it may be unlinked. */
  release(digest: string, toldAt: number, unlinkAt: number): void {
    this.#sql.exec(
      "UPDATE blobs SET renewed_at = ?, unlink_at = ? WHERE digest = ?",
      toldAt,
      unlinkAt,
      digest,
    );
  }

  delete(digest: string): void {
    this.#sql.exec("DELETE FROM blobs WHERE digest = ?", digest);
  }

  /** The digests of linked blobs after `last`, in order. */
  page(last: string, limit: number): string[] {
    return this.#sql
      .exec<{ digest: string }>(
        "SELECT digest FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
        last,
        limit,
      )
      .toArray()
      .map((row) => row.digest);
  }

  /** Which of the digests are linked. */
  held(digests: string[]): string[] {
    const held = "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(?))";
    const rows = inPieces(digests, (json) => this.#sql.exec<{ digest: string }>(held, json).toArray());
    return rows.map((row) => row.digest);
  }

  /**
   * Notes that a manifest references these: those that are linked are not due to be unlinked. Returns those of them that
   * have no replica row yet; from now on they count as having one.
   */
  reference(digests: string[]): string[] {
    const unreplicated = `SELECT digest FROM blobs
      WHERE replicated = 0 AND digest IN (SELECT value FROM json_each(?))`;
    const reference = `UPDATE blobs SET replicated = 1, unlink_at = NULL
      WHERE (replicated = 0 OR unlink_at IS NOT NULL) AND digest IN (SELECT value FROM json_each(?))`;
    return inPieces(digests, (json) => {
      const rows = this.#sql.exec<{ digest: string }>(unreplicated, json).toArray();
      this.#sql.exec(reference, json);
      return rows.map((row) => row.digest);
    });
  }

  /**
   * Ends a session with this outcome, `null` for cancelled, to be forgotten from a time on. False when it has ended with
   * another one before.
   */
  closeSession(id: string, digest: string | null, forgetAt: number): boolean {
    const before = this.sessionState(id);
    if (before.state === "finished") return before.digest === digest;
    if (before.state === "cancelled") return digest === null;
    this.#sql.exec(
      "INSERT INTO closed_sessions (id, digest, forget_at) VALUES (?, ?, ?)",
      id,
      digest,
      forgetAt,
    );
    return true;
  }

  sessionState(id: string): SessionState {
    const [row] = this.#sql
      .exec<{ digest: string | null }>("SELECT digest FROM closed_sessions WHERE id = ?", id)
      .toArray();
    if (row === undefined) return { state: "open" };
    return row.digest === null ? { state: "cancelled" } : { state: "finished", digest: row.digest };
  }

  hasClosedSessions(): boolean {
    return this.#sql.exec("SELECT 1 FROM closed_sessions LIMIT 1").toArray().length > 0;
  }

  /** Forgets those of the next sessions after one that are due by now; returns the last that was looked at. */
  forgetSessions(after: string, limit: number, now: number): string | undefined {
    const page = "SELECT id FROM closed_sessions WHERE id > ? ORDER BY id LIMIT ?";
    const last = this.#sql.exec<{ id: string }>(page, after, limit).toArray().at(-1)?.id;
    if (last === undefined) return undefined;
    this.#sql.exec(
      "DELETE FROM closed_sessions WHERE id > ? AND id <= ? AND forget_at <= ?",
      after,
      last,
      now,
    );
    return last;
  }
}
