/**
 * The audit log, as the catalog keeps it: three kinds of entries, none of which displaces another.
 */

import { type AuditKind, auditKinds } from "../../oci/audit.ts";
import type { AuditEntry, KeptAuditEntry, NewAuditEntry, Page } from "../../rpc/api.ts";
import { eachRow, oneRow, type Tx, takeBytes } from "../sql.ts";

/** How many rows of each kind are kept. */
const maxRows = 10_000;

/** After how many new rows the total is checked, as counting takes longer than writing a row. */
const rowsBetweenTrims = 100;

/** How large a page is, in bytes. */
const pageBytes = 1024 * 1024;

type Row = { id: number; entry: string; bytes: number };

/** The audit log in SQL. */
export class AuditLog {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(tx: Tx, entries: readonly NewAuditEntry[]): void {
    for (const { kind, ...entry } of entries) {
      const { id } = tx.writeOne<{ id: number }>(
        "INSERT INTO audit (kind, actor, entry) VALUES (?, ?, ?) RETURNING id",
        kind,
        entry.actor,
        JSON.stringify(entry),
      );
      if (id % rowsBetweenTrims === 0) for (const each of auditKinds) this.#trim(tx, each);
    }
  }

  /**
   * Deletes excess rows of a kind: the oldest rows of the actor with the most. So an actor who causes many rows only
   * displaces their own.
   */
  #trim(tx: Tx, kind: AuditKind): void {
    const query = "SELECT count(*) AS count FROM audit WHERE kind = ?";
    const { count } = oneRow<{ count: number }>(tx.sql, query, kind);
    if (count <= maxRows) return;
    tx.write(
      `DELETE FROM audit WHERE id IN (
         SELECT id FROM (
           SELECT id, row_number() OVER (PARTITION BY actor ORDER BY id DESC) AS place FROM audit WHERE kind = ?
         ) ORDER BY place DESC, id LIMIT ?)`,
      kind,
      count - maxRows,
    );
  }

  /** The entries before an id, of one kind or of all, newest first. The size of a page is limited in bytes, too. */
  list(kind: AuditKind | undefined, before: number, limit: number): Page<KeptAuditEntry> {
    const rows = takeBytes(this.#before(kind, before, limit), ({ bytes }) => bytes, pageBytes);
    const last = rows.at(-1)?.id ?? before;
    return {
      entries: rows.map(({ id, entry }) => ({ id, ...(JSON.parse(entry) as AuditEntry) })),
      more: Array.from(this.#before(kind, last, 1)).length > 0,
    };
  }

  #before(kind: AuditKind | undefined, before: number, limit: number): Iterable<Row> {
    const rows = "SELECT id, entry, length(CAST(entry AS BLOB)) AS bytes FROM audit";
    const order = "ORDER BY id DESC LIMIT ?";
    return kind === undefined
      ? eachRow<Row>(this.#sql, `${rows} WHERE id < ? ${order}`, before, limit)
      : eachRow<Row>(this.#sql, `${rows} WHERE kind = ? AND id < ? ${order}`, kind, before, limit);
  }
}
