/**
 * Which objects an earlier release may have created, and which shards have ever had a row. Objects of later releases
 * are recorded before they store anything, so that no others have to be asked.
 */
import { maxBlobShards } from "../../machine.ts";
import { hour } from "../../units.ts";
import { firstRow, hasTable, readRows, type Tx } from "../sql.ts";

/** SQL of the tables. */
export const knownObjects = `
  -- The shards that may have rows.
  CREATE TABLE shards (name TEXT PRIMARY KEY) WITHOUT ROWID;

  -- Until when an earlier release may have founded ledgers that no index has; no row if there was none.
  CREATE TABLE index_settled (only INTEGER PRIMARY KEY CHECK (only = 1), at INTEGER NOT NULL);
`;

/** During a deployment, objects and Workers of the earlier release go on for a while. In milliseconds. */
const deploymentMs = hour;

/** The rows in SQL. */
export class KnownObjects {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether an earlier release wrote this catalog. To be called before the schema is applied. */
  static isOfEarlierRelease(sql: SqlStorage): boolean {
    return hasTable(sql, "secrets") && !hasTable(sql, "shards");
  }

  /** Records that an earlier release was at work until now: any shard may exist, and ledgers that no index has. */
  takeOver(tx: Tx, now: number): void {
    for (let byte = 0; byte < maxBlobShards; byte++) this.addShard(tx, byte.toString(16).padStart(2, "0"));
    tx.write("INSERT INTO index_settled (only, at) VALUES (1, ?)", now + deploymentMs);
  }

  /** From when on every ledger is either in the index or in the list of repositories, in milliseconds since 1970. */
  get settledAtMs(): number {
    return firstRow<{ at: number }>(this.#sql, "SELECT at FROM index_settled WHERE only = 1")?.at ?? 0;
  }

  addShard(tx: Tx, name: string): void {
    tx.write("INSERT OR IGNORE INTO shards (name) VALUES (?)", name);
  }

  /** The names of the shards that may have rows, in order. */
  shards(): string[] {
    return readRows<{ name: string }>(this.#sql, "SELECT name FROM shards ORDER BY name").map(
      ({ name }) => name,
    );
  }
}
