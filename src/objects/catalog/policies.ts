/** The policy document. The ledgers get what of it holds for them with each write. */
import type { RepositoryName } from "../../oci/reference.ts";
import type { Rules, StoredPolicies } from "../../policy/document.ts";
import type { Page } from "../../rpc/api.ts";
import type { ListedRun, WaitingRun } from "../../rpc/policies-api.ts";
import { firstRow, readRows, type Tx } from "../sql.ts";

type PolicyRow = { version: number; rules: string; put_at: number; put_by: string };

/** The document in SQL: the last row. */
export class Policies {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The document; `undefined` if there never was one. */
  read(): StoredPolicies | undefined {
    const row = firstRow<PolicyRow>(
      this.#sql,
      "SELECT * FROM policies WHERE version = (SELECT max(version) FROM policies)",
    );
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

  /** Stores that the run of a repository waits, or that it waits no more (`undefined`). */
  putWaiting(tx: Tx, repository: RepositoryName, waiting: WaitingRun | undefined): void {
    tx.write("DELETE FROM waiting_runs WHERE repository = ?", repository);
    if (waiting === undefined) return;
    const add = "INSERT INTO waiting_runs (repository, since, run) VALUES (?, ?, ?)";
    tx.write(add, repository, waiting.sinceMs, JSON.stringify(waiting));
  }

  /** A page of the repositories whose runs wait, after `last`. */
  waiting(last: string, limit: number): Page<ListedRun> {
    const query = "SELECT repository, run FROM waiting_runs WHERE repository > ? ORDER BY repository LIMIT ?";
    const found = readRows<{ repository: RepositoryName; run: string }>(this.#sql, query, last, limit + 1);
    const entries = found.slice(0, limit).map(({ repository, run }) => ({ repository, ...JSON.parse(run) }));
    return { entries, more: found.length > limit };
  }

  /** How long the run has waited that waits longest, in milliseconds; 0 if none waits. */
  longestWait(now: number): number {
    const query = "SELECT min(since) AS since FROM waiting_runs";
    const since = firstRow<{ since: number | null }>(this.#sql, query)?.since;
    return since == null ? 0 : Math.max(0, now - since);
  }
}
