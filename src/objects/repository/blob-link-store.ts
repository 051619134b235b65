/**
 * How a ledger keeps which blobs may be read through its repository, and which upload sessions have ended.
 */
import type { Digest } from "../../oci/digest.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { SessionState } from "../api.ts";
import { inPieces } from "./in-pieces.ts";

/** A linked blob. `renewedAtMs`: when a client last was told that it is there, who may rely on it still. */
export type BlobLink = BlobLocation & { renewedAtMs: number; isReplicated: boolean };

type BlobRow = { digest: Digest; key: string; size: number; renewed_at: number; replicated: number };

const unused = `FROM blobs JOIN due ON due.kind = 'unlink' AND due.id = blobs.digest
  WHERE due.at > ?
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

  /** Links a blob, or renews its link, at this location. */
  write(location: BlobLocation, now: number): void {
    this.#sql.exec(
      `INSERT INTO blobs (digest, key, size, renewed_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET key = excluded.key, size = excluded.size, renewed_at = excluded.renewed_at`,
      location.digest,
      location.key,
      location.sizeBytes,
      now,
    );
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

  /** Of these, the linked blobs that have no replica row yet; from now on they count as having one. */
  takeUnreplicated(digests: string[]): string[] {
    const take = `UPDATE blobs SET replicated = 1
      WHERE replicated = 0 AND digest IN (SELECT value FROM json_each(?)) RETURNING digest`;
    const rows = inPieces(digests, (json) => this.#sql.exec<{ digest: string }>(take, json).toArray());
    return rows.map((row) => row.digest);
  }

  /** Ends a session with this outcome, `null` for cancelled. False when it has ended with another one before. */
  closeSession(id: string, digest: string | null): boolean {
    const before = this.sessionState(id);
    if (before.state === "finished") return before.digest === digest;
    if (before.state === "cancelled") return digest === null;
    this.#sql.exec("INSERT INTO closed_sessions (id, digest) VALUES (?, ?)", id, digest);
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

  forgetSessions(ids: string[]): void {
    this.#sql.exec(
      "DELETE FROM closed_sessions WHERE id IN (SELECT value FROM json_each(?))",
      JSON.stringify(ids),
    );
  }
}
