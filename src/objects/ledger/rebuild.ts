/**
 * Writing the whole replica of a repository anew, from the ledger, in batches that hold nobody up.
 */

import type { DueRow } from "../due.ts";
import { firstRow, type Tx } from "../sql.ts";
import type { LedgerParts } from "./parts.ts";

/** The job of the `due` table that marks a batch of rows as changed. */
export const rebuildJob = "rebuild";

const batchRows = 1000;

/** What KV has rows of. */
const kinds = [
  { kind: "manifest", column: "digest", rows: "manifests WHERE true" },
  { kind: "tag", column: "tag", rows: "tags WHERE true" },
  { kind: "blob", column: "digest", rows: "blobs WHERE replicated = 1" },
] as const;

/** Lets every row of the replica be written anew. */
export function rebuildLater(tx: Tx, { due, clock }: LedgerParts): void {
  for (const { kind } of kinds) due.set(tx, rebuildJob, `${kind} `, clock.now());
}

/** Marks the next batch of each kind that is due. */
export function markPage(tx: Tx, { outbox, due, clock }: LedgerParts, dueRows: DueRow[]): void {
  for (const { id } of dueRows) {
    due.clear(tx, rebuildJob, id);
    const space = id.indexOf(" ");
    const known = kinds.find(({ kind }) => kind === id.slice(0, space));
    if (known === undefined) continue;
    const { kind, column, rows } = known;
    const page = `SELECT ${column} AS id FROM ${rows} AND ${column} > ? ORDER BY ${column} LIMIT ${batchRows}`;
    outbox.markAll(tx, kind, page, id.slice(space + 1));
    const last = firstRow<{ id: string | null }>(
      tx.sql,
      `SELECT max(id) AS id FROM (${page})`,
      id.slice(space + 1),
    );
    if (last?.id != null) due.set(tx, rebuildJob, `${kind} ${last.id}`, clock.now());
  }
}
