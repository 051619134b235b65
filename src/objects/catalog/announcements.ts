/**
 * The versions of what ledgers announced. A call that is repeated because its answer was lost, or that was held up, may
 * arrive after later ones: it must neither show a repository that became private since, nor list one that is gone.
 */
import type { RepositoryName } from "../../oci/reference.ts";
import { day } from "../../units.ts";
import { firstRow, type Tx } from "../sql.ts";

/** SQL of the table. removed_at: when the repository was taken off the list, if it was. */
export const announcements = `
  CREATE TABLE announcements (name TEXT PRIMARY KEY, version INTEGER NOT NULL, removed_at INTEGER) WITHOUT ROWID;
  CREATE INDEX announcements_of_removed ON announcements (removed_at) WHERE removed_at IS NOT NULL;
`;

/** How long the version of a repository that is gone is kept, in milliseconds: much longer than a call can be late. */
const removedKeptMs = day;

/** The versions in SQL. */
export class Announcements {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Notes an announcement, unless a later one is known: then it returns the version of that, and this one is not to be
   * followed. `version`: `undefined` from a ledger of an earlier release, which is always followed. `removedAtMs`: now,
   * where it says that there is no repository.
   */
  note(
    tx: Tx,
    name: RepositoryName,
    version: number | undefined,
    removedAtMs: number | undefined,
  ): number | undefined {
    if (removedAtMs !== undefined)
      tx.write("DELETE FROM announcements WHERE removed_at < ?", removedAtMs - removedKeptMs);
    const query = "SELECT version FROM announcements WHERE name = ?";
    const known = firstRow<{ version: number }>(this.#sql, query, name)?.version ?? 0;
    if (version === undefined || version === known) return undefined;
    if (version < known) return known;
    const put = "INSERT OR REPLACE INTO announcements (name, version, removed_at) VALUES (?, ?, ?)";
    tx.write(put, name, version, removedAtMs ?? null);
    return undefined;
  }
}
