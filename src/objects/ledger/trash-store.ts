/**
 * How a ledger keeps manifests that were deleted and may come back. Their bytes stay where they were; nothing else of
 * the ledger knows them any more.
 */

import type { Digest } from "../../oci/digest.ts";
import { eachRow, firstRow, oneRow, readRows, type Tx } from "../sql.ts";
import type { Restorable } from "../upkeep.ts";

/** The job of the `due` table that forgets a deleted manifest, once it may not come back any more. */
export const purgeJob = "purge";

/** A deleted manifest. `tags`: those that pointed at it, and went with it. */
export type DeletedManifest = { mediaType: string; sizeBytes: number; tags: string[] };

/** Deleted manifests in SQL. */
export class TrashStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(digest: string): DeletedManifest | undefined {
    const row = firstRow<{ media_type: string; size: number }>(
      this.#sql,
      "SELECT media_type, size FROM deleted_manifests WHERE digest = ?",
      digest,
    );
    if (row === undefined) return undefined;
    const tags = eachRow<{ tag: string }>(this.#sql, "SELECT tag FROM deleted_tags WHERE digest = ?", digest);
    return { mediaType: row.media_type, sizeBytes: row.size, tags: Array.from(tags, ({ tag }) => tag) };
  }

  /** How many there are, and the first of them, each with the first of its tags. */
  list(limit: number): Restorable {
    const { count } = oneRow<{ count: number }>(this.#sql, "SELECT count(*) AS count FROM deleted_manifests");
    const rows = readRows<{ digest: Digest; size: number }>(
      this.#sql,
      "SELECT digest, size FROM deleted_manifests ORDER BY digest LIMIT ?",
      limit,
    );
    const manifests = rows.map(({ digest, size }) => {
      const tags = eachRow<{ tag: string }>(
        this.#sql,
        "SELECT tag FROM deleted_tags WHERE digest = ? ORDER BY tag LIMIT ?",
        digest,
        limit,
      );
      return { digest, sizeBytes: size, tags: Array.from(tags, ({ tag }) => tag) };
    });
    return { count, manifests };
  }

  write(tx: Tx, digest: string, { mediaType, sizeBytes, tags }: DeletedManifest): void {
    tx.write(
      "INSERT OR REPLACE INTO deleted_manifests (digest, media_type, size) VALUES (?, ?, ?)",
      digest,
      mediaType,
      sizeBytes,
    );
    for (const tag of tags) {
      tx.write("INSERT OR IGNORE INTO deleted_tags (digest, tag) VALUES (?, ?)", digest, tag);
    }
  }

  /** Forgets a manifest that did not come back, with its bytes. One that did is left as it is. */
  purge(tx: Tx, digest: string): void {
    if (this.forget(tx, digest)) tx.write("DELETE FROM manifest_bytes WHERE digest = ?", digest);
  }

  /** Takes a manifest out of the trash, whatever becomes of its bytes. Returns whether it was there. */
  forget(tx: Tx, digest: string): boolean {
    tx.write("DELETE FROM deleted_tags WHERE digest = ?", digest);
    const forgotten = tx.write("DELETE FROM deleted_manifests WHERE digest = ? RETURNING digest", digest);
    return forgotten.length > 0;
  }
}
