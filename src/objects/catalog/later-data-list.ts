/** Which objects have data of a later release, as they told the catalog (objects/later-data.ts). */
import { dataVersions, type LaterData, type StoredClass } from "../../data-versions.ts";
import { firstRow, oneRow, readRows, type Tx } from "../sql.ts";

/** SQL of the table. version: that of the object's data. */
export const laterData = `
  CREATE TABLE later_data (
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (kind, object)
  ) WITHOUT ROWID;
`;

/** How many objects are listed at most. */
const maxListed = 10_000;

/** SQL for those that this release cannot read; bound to the versions that it reads. */
const isLater = "version > (SELECT value FROM json_each(?) WHERE json_each.key = later_data.kind)";
const known = JSON.stringify(dataVersions);

/** The list in SQL. */
export class LaterDataList {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(tx: Tx, kind: StoredClass, object: string, version: number): void {
    const { listed } = oneRow<{ listed: number }>(tx.sql, "SELECT count(*) AS listed FROM later_data");
    if (listed >= maxListed) return;
    const same = "SELECT 1 FROM later_data WHERE kind = ? AND object = ? AND version = ?";
    if (firstRow(tx.sql, same, kind, object, version) !== undefined) return;
    tx.write(
      "INSERT OR REPLACE INTO later_data (kind, object, version) VALUES (?, ?, ?)",
      kind,
      object,
      version,
    );
  }

  /** Removes those that this release can read, as it does when it has been deployed again. */
  forgetReadable(tx: Tx): void {
    tx.write(`DELETE FROM later_data WHERE NOT coalesce(${isLater}, true)`, known);
  }

  /** How many objects of each class have data that this release cannot read. */
  count(): LaterData[] {
    const query = `SELECT kind, count(*) AS objects FROM later_data WHERE coalesce(${isLater}, true)
      GROUP BY kind` as const;
    return readRows<LaterData>(this.#sql, query, known);
  }
}
