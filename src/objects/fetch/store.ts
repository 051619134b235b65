/**
 * What is stored of fetches: which question each answers, so that a new life of the object goes on with it. Their parts
 * are in the tables of uploads.
 */
import type { BlobQuestion } from "../../rpc/fetch-channel.ts";
import { DueTable } from "../due.ts";
import { firstRow, hasRow, hasTable, readRows, type Tx } from "../sql.ts";

/** A question, and which repository it was asked for. */
export type StoredQuestion = BlobQuestion & { born: number; sizeBytes?: number };

const schema = `
  ${DueTable.schema}
  CREATE TABLE IF NOT EXISTS fetches (id TEXT PRIMARY KEY, question TEXT NOT NULL) WITHOUT ROWID;
`;

/** The questions of an object, by fetch. */
export class FetchStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether there ever was one; then there are tables. */
  exists(): boolean {
    return hasTable(this.#sql, "fetches");
  }

  isEmpty(): boolean {
    return !this.exists() || !hasRow(this.#sql, "SELECT 1 FROM fetches LIMIT 1");
  }

  put(tx: Tx, id: string, question: StoredQuestion): void {
    tx.write(schema);
    tx.write("INSERT OR REPLACE INTO fetches (id, question) VALUES (?, ?)", id, JSON.stringify(question));
  }

  find(id: string): StoredQuestion | undefined {
    if (!this.exists()) return undefined;
    const row = firstRow<{ question: string }>(this.#sql, "SELECT question FROM fetches WHERE id = ?", id);
    return row && JSON.parse(row.question);
  }

  ids(): string[] {
    if (!this.exists()) return [];
    return readRows<{ id: string }>(this.#sql, "SELECT id FROM fetches").map(({ id }) => id);
  }

  delete(tx: Tx, id: string): void {
    if (this.exists()) tx.write("DELETE FROM fetches WHERE id = ?", id);
  }
}
