/**
 * How a ledger keeps manifests that were deleted and may come back. Their bytes stay where they were; nothing else of
 * the ledger knows them any more.
 */

import type { Digest } from "../../oci/digest.ts";
import type { Restorable } from "../upkeep.ts";

/** The job of the `due` table that forgets a deleted manifest, once it may not come back any more. */
export const purgeJob = "purge";

/** A deleted manifest. `tags`: those that pointed at it, and went with it. */
export type DeletedManifest = { mediaType: string; sizeBytes: number; tags: string[] };

/** Deleted manifests in SQL. Nothing here opens a transaction; the ledger does. */
export class TrashStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(digest: string): DeletedManifest | undefined {
    const [row] = this.#sql
      .exec<{ media_type: string; size: number }>(
        "SELECT media_type, size FROM deleted_manifests WHERE digest = ?",
        digest,
      )
      .toArray();
    if (row === undefined) return undefined;
    const tags = this.#sql.exec<{ tag: string }>("SELECT tag FROM deleted_tags WHERE digest = ?", digest);
    return { mediaType: row.media_type, sizeBytes: row.size, tags: Array.from(tags, ({ tag }) => tag) };
  }

  /** How many there are, and the first of them, each with the first of its tags. */
  list(limit: number): Restorable {
    const { count } = this.#sql
      .exec<{ count: number }>("SELECT count(*) AS count FROM deleted_manifests")
      .one();
    const rows = this.#sql
      .exec<{ digest: Digest; size: number }>(
        "SELECT digest, size FROM deleted_manifests ORDER BY digest LIMIT ?",
        limit,
      )
      .toArray();
    const manifests = rows.map(({ digest, size }) => {
      const tags = this.#sql.exec<{ tag: string }>(
        "SELECT tag FROM deleted_tags WHERE digest = ? ORDER BY tag LIMIT ?",
        digest,
        limit,
      );
      return { digest, sizeBytes: size, tags: Array.from(tags, ({ tag }) => tag) };
    });
    return { count, manifests };
  }

  write(digest: string, { mediaType, sizeBytes, tags }: DeletedManifest): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO deleted_manifests (digest, media_type, size) VALUES (?, ?, ?)",
      digest,
      mediaType,
      sizeBytes,
    );
    for (const tag of tags) {
      this.#sql.exec("INSERT OR IGNORE INTO deleted_tags (digest, tag) VALUES (?, ?)", digest, tag);
    }
  }

  /** Forgets a manifest that did not come back, with its bytes. One that did is left as it is. */
  purge(digest: string): void {
    if (this.forget(digest)) this.#sql.exec("DELETE FROM manifest_bytes WHERE digest = ?", digest);
  }

  /** Takes a manifest out of the trash, whatever becomes of its bytes. Returns whether it was there. */
  forget(digest: string): boolean {
    this.#sql.exec("DELETE FROM deleted_tags WHERE digest = ?", digest);
    const forgotten = this.#sql.exec(
      "DELETE FROM deleted_manifests WHERE digest = ? RETURNING digest",
      digest,
    );
    return forgotten.toArray().length > 0;
  }
}
