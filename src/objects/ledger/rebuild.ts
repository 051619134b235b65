/** Rewrites the whole replica of a repository from the ledger, in batches, so that other calls are not blocked. */
import { type DueRow, jobOn } from "../due.ts";
import { oneRow, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";

/** The job that marks a batch of rows as changed. */
const rebuildJob = "rebuild";

const batchRows = 1000;

/** The kinds of rows in KV. */
const kinds = [
  { kind: "manifest", column: "digest", rows: "manifests WHERE true" },
  { kind: "tag", column: "tag", rows: "tags WHERE true" },
  { kind: "blob", column: "digest", rows: "blobs WHERE replicated = 1" },
] as const;

/** The rebuild of the replica. */
export class Rebuilding implements Feature {
  readonly tables = {};
  readonly steps = {};
  readonly jobs = {
    [rebuildJob]: {
      atDeletion: "emptied",
      run: jobOn(async (due) => transaction(this.#host.storage, (tx) => this.#markPages(tx, due))),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #outbox: Outbox;

  constructor(host: LedgerHost, outbox: Outbox) {
    this.#host = host;
    this.#outbox = outbox;
  }

  /** Starts rewriting every row of the replica. */
  begin(tx: Tx): void {
    const { due, clock } = this.#host;
    for (const { kind } of kinds) due.set(tx, rebuildJob, `${kind} `, clock.now());
  }

  /** Marks the next batch of each kind that is due. */
  #markPages(tx: Tx, dueRows: DueRow[]): void {
    const { sql, due, clock } = this.#host;
    for (const { id } of dueRows) {
      due.clear(tx, rebuildJob, id);
      const space = id.indexOf(" ");
      const known = kinds.find(({ kind }) => kind === id.slice(0, space));
      if (known === undefined) continue;
      const { kind, column, rows } = known;
      const after = id.slice(space + 1);
      const page = `SELECT ${column} AS id FROM ${rows} AND ${column} > ? ORDER BY ${column} LIMIT ${batchRows}`;
      this.#outbox.markAll(tx, kind, page, after);
      const last = oneRow<{ id: string | null }>(sql, `SELECT max(id) AS id FROM (${page})`, after).id;
      if (last !== null) due.set(tx, rebuildJob, `${kind} ${last}`, clock.now());
    }
  }
}
