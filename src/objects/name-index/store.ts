/** The rows of a part of the index of names. */
import type { RepositoryName } from "../../oci/reference.ts";
import type { KnownName } from "../../rpc/name-index-api.ts";
import { DueTable } from "../due.ts";
import type { Schema } from "../schema.ts";
import { firstRow, hasRow, type Tx } from "../sql.ts";

/** The tables of a part of the index. */
export const nameIndexSchema: Schema = [
  `
  -- registration: the number that the name was last registered under; 0 if it was only added.
  CREATE TABLE names (name TEXT PRIMARY KEY, registration INTEGER NOT NULL) WITHOUT ROWID;

  -- Apart, so that a private repository costs the same look-up as a name that is not registered.
  CREATE TABLE public_names (name TEXT PRIMARY KEY) WITHOUT ROWID;

  -- last: the number of the last registration. is_filled: whether the names that existed before are in.
  CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL,
    is_filled INTEGER NOT NULL
  );
  INSERT INTO state VALUES (1, 0, 0);
${DueTable.schema}`,
];

/** The names in SQL. */
export class NameStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether a name that is not here is not registered. */
  get isFilled(): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM state WHERE only = 1 AND is_filled = 1");
  }

  setFilled(tx: Tx, isFilled: boolean): void {
    tx.write("UPDATE state SET is_filled = ? WHERE only = 1", isFilled ? 1 : 0);
  }

  has(name: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM names WHERE name = ?", name);
  }

  mayBePublic(name: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM public_names WHERE name = ?", name);
  }

  /** The number that a name was last registered under. */
  #registration(name: string): number | undefined {
    const query = "SELECT registration FROM names WHERE name = ?";
    return firstRow<{ registration: number }>(this.#sql, query, name)?.registration;
  }

  /**
   * Registers a name under a new number, which is at least the clock's milliseconds: so it is higher than all earlier
   * ones, even if the object was put back to an earlier state.
   */
  register(tx: Tx, name: RepositoryName, isPublic: boolean, now: number): number {
    const next = "UPDATE state SET last = max(last + 1, ?) WHERE only = 1 RETURNING last";
    const { last } = tx.writeOne<{ last: number }>(next, now);
    tx.write("INSERT OR REPLACE INTO names (name, registration) VALUES (?, ?)", name, last);
    if (isPublic) this.#addPublic(tx, name);
    return last;
  }

  /** Adds a name that exists already. Returns whether it was not there. */
  add(tx: Tx, { name, isPublic }: KnownName): boolean {
    const add = "INSERT OR IGNORE INTO names (name, registration) VALUES (?, 0) RETURNING 1";
    const isNew = tx.write(add, name).length > 0;
    if (isPublic) this.#addPublic(tx, name);
    return isNew;
  }

  /** Removes a name, unless it was registered later. */
  remove(tx: Tx, name: string, registration: number): void {
    if ((this.#registration(name) ?? 0) > registration) return;
    tx.write("DELETE FROM names WHERE name = ?", name);
    tx.write("DELETE FROM public_names WHERE name = ?", name);
  }

  /** Records that a name is private, unless it was registered later. */
  hide(tx: Tx, name: string, registration: number): void {
    if ((this.#registration(name) ?? 0) > registration) return;
    tx.write("DELETE FROM public_names WHERE name = ?", name);
  }

  #addPublic(tx: Tx, name: string): void {
    tx.write("INSERT OR IGNORE INTO public_names (name) VALUES (?)", name);
  }
}
