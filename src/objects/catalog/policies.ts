/** The policy document. The ledgers get what of it holds for them with each write. */
import type { Rules, StoredPolicies } from "../../policy/document.ts";
import { firstRow, type Tx } from "../sql.ts";

type PolicyRow = { version: number; rules: string; put_at: number; put_by: string };

/** The document in SQL: the last row. */
export class Policies {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The document; `undefined` if there never was one. */
  read(): StoredPolicies | undefined {
    const row = firstRow<PolicyRow>(this.#sql, "SELECT * FROM policies ORDER BY version DESC LIMIT 1");
    if (row === undefined) return undefined;
    const { version, rules, put_at: putAtMs, put_by: putBy } = row;
    return { version, rules: JSON.parse(rules), putAtMs, putBy };
  }

  /** Replaces the document, if it is of the expected version (0: there is none) or none is expected. */
  put(
    tx: Tx,
    rules: Rules,
    { expected, actor }: { expected: number | undefined; actor: string },
    now: number,
  ): StoredPolicies | undefined {
    const known = this.read()?.version ?? 0;
    if (expected !== undefined && expected !== known) return undefined;
    const put = { version: known + 1, rules, putAtMs: now, putBy: actor };
    const add = "INSERT INTO policies (version, rules, put_at, put_by) VALUES (?, ?, ?, ?)";
    tx.write(add, put.version, JSON.stringify(rules), now, actor);
    tx.write("DELETE FROM policies WHERE version < ?", put.version);
    return put;
  }
}
