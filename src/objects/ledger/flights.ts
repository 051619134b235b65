/**
 * Writes to the replica that began with the transaction which made them necessary: all of one transaction in one row,
 * which is written before they begin and deleted when they have ended. A push changes a dozen rows of the replica;
 * with a row for each of them, and one more write when it is on its way, that was a third of what the ledger wrote.
 */
import type { ReplicaKey } from "../../storage/keys.ts";
import type { DueColumn } from "../due.ts";

/** The job that finds rows whose writes ended with the memory of the object. */
export const flightJob = "flight";

/** A flight that takes long may be lost: whoever began it knows. */
export const flightColumn: DueColumn = { table: "flights", id: "CAST(id AS TEXT)", at: "at", isDue: "true" };

/**
 * SQL of the table, for the ledger's schema. `keys`: a JSON array of {@link FlightKey}; `at`: when to look whether it is
 * lost; `until`: a write of it may land until then.
 */
export const flightsSchema = `
  CREATE TABLE flights (id INTEGER PRIMARY KEY, keys TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL);
`;

const lookAfterMs = 30_000;

/** A row of the replica, as it is kept: a tag's id is the tag, others' their digest. */
export type FlightKey = { kind: ReplicaKey["kind"]; id: string };

/** Flights in SQL. There are never many: one for each transaction whose writes are under way. */
export class FlightStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Notes that these rows are being written from now on, which may land until a time. Returns the flight's id. */
  add(keys: FlightKey[], now: number, until: number): number {
    return this.#sql
      .exec<{ id: number }>(
        "INSERT INTO flights (keys, at, until) VALUES (?, ?, ?) RETURNING id",
        JSON.stringify(keys),
        now + lookAfterMs,
        until,
      )
      .one().id;
  }

  delete(id: number): void {
    this.#sql.exec("DELETE FROM flights WHERE id = ?", id);
  }

  /** Which rows a flight writes, and until when this may land; `undefined` where it has ended. */
  read(id: number): { keys: FlightKey[]; until: number } | undefined {
    const [row] = this.#sql
      .exec<{ keys: string; until: number }>("SELECT keys, until FROM flights WHERE id = ?", id)
      .toArray();
    return row && { keys: JSON.parse(row.keys), until: row.until };
  }

  isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM flights LIMIT 1").toArray().length === 0;
  }

  /** Whether one of them writes this row. */
  has({ kind, id }: FlightKey): boolean {
    const rows = this.#sql.exec(
      `SELECT 1 FROM flights, json_each(flights.keys)
       WHERE value ->> 'kind' = ? AND value ->> 'id' = ? LIMIT 1`,
      kind,
      id,
    );
    return rows.toArray().length > 0;
  }
}
