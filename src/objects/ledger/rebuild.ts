/** Rewrites the whole replica of a repository from the ledger, in batches, so that other calls are not blocked. */
import { type DueRow, jobOn } from "../due.ts";
import { oneRow, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";

/** The job that marks a batch of rows as changed. */
const rebuildJob = "rebuild";

const batchRows = 1000;

/** The kinds of rows in KV: the table of each, its key, and which of its rows are replicated. */
export const replicatedKinds = [
  { kind: "manifest", table: "manifests", column: "digest", isReplicated: "true" },
  { kind: "tag", table: "tags", column: "tag", isReplicated: "true" },
  { kind: "blob", table: "blobs", column: "digest", isReplicated: "replicated = 1" },
] as const;

/** One of {@link replicatedKinds}. */
export type ReplicatedKind = (typeof replicatedKinds)[number];

/** Marks the next rows of a kind as changed, after one; returns the last of them. `from`: its table, or one set aside. */
export function markPage(
  tx: Tx,
  outbox: Outbox,
  { kind, column, isReplicated }: ReplicatedKind,
  from: string,
  after: string,
): string | null {
  const page = `SELECT ${column} AS id FROM ${from} WHERE ${isReplicated} AND ${column} > ?
    ORDER BY ${column} LIMIT ${batchRows}`;
  outbox.markAll(tx, kind, page, after);
  return oneRow<{ id: string | null }>(tx.sql, `SELECT max(id) AS id FROM (${page})`, after).id;
}

/** The rebuild of the replica. */
export class Rebuilding implements Feature {
  readonly tables = {};
  readonly steps = {};
  readonly jobs = {
    [rebuildJob]: {
      atDeletion: "cleared",
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
    for (const { kind } of replicatedKinds) due.set(tx, rebuildJob, `${kind} `, clock.now());
  }

  /** Marks the next batch of each kind that is due. */
  #markPages(tx: Tx, dueRows: DueRow[]): void {
    const { due, clock } = this.#host;
    for (const { id } of dueRows) {
      due.clear(tx, rebuildJob, id);
      const space = id.indexOf(" ");
      const known = replicatedKinds.find(({ kind }) => kind === id.slice(0, space));
      if (known === undefined) continue;
      const last = markPage(tx, this.#outbox, known, known.table, id.slice(space + 1));
      if (last !== null) due.set(tx, rebuildJob, `${known.kind} ${last}`, clock.now());
    }
  }
}
