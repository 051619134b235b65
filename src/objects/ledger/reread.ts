/**
 * Reading stored manifests again, after an upgrade whose reader sees more in them: what a release before it did not
 * take for a reference is protected from then on. Until all are read, the ledger gives nothing up.
 */

import { readStoredManifest } from "../../oci/manifest.ts";
import type { ManifestStat } from "../api.ts";
import type { DueRow } from "../due.ts";
import { type Tx, takeBytes } from "../sql.ts";
import type { LedgerParts } from "./parts.ts";

/** The job of the `due` table that reads a batch of manifests; its id is the last one that was read. */
export const rereadJob = "reread";

/**
 * A step of the ledger's schema that lets all its manifests be read again. A release whose reader sees more than the
 * one before adds it once more.
 */
export const rereadStep = `
  INSERT OR REPLACE INTO due (kind, id, at) SELECT '${rereadJob}', '', 0 FROM manifests WHERE digest > '' LIMIT 1;
`;

const batchRows = 100;

/** Whether there are manifests that this release has not read yet, so that they may name anything. */
export function hasUnread({ due }: LedgerParts): boolean {
  return due.has(rereadJob);
}

/** Reads the next manifests, and adds the references that they are found to have. */
export function rereadBatch(tx: Tx, parts: LedgerParts, rows: DueRow[]): void {
  const { manifests, due, clock } = parts;
  for (const { id: after } of rows) {
    const stats = takeBytes(manifests.stats(after, batchRows), ({ sizeBytes }) => sizeBytes);
    for (const stat of stats) reread(tx, parts, stat);
    due.clear(tx, rereadJob, after);
    const last = stats.at(-1);
    if (last !== undefined) due.set(tx, rereadJob, last.digest, clock.now());
  }
}

/** Adds the references that a manifest is found to have. */
export function reread(
  tx: Tx,
  { manifests, blobs, outbox }: LedgerParts,
  { digest, mediaType, sizeBytes }: ManifestStat,
): void {
  const { references } = readStoredManifest(manifests.bytes(digest, sizeBytes), mediaType);
  const added = manifests.addReferences(tx, digest, references);
  if (added.length === 0) return;
  for (const blob of blobs.reference(tx, added)) outbox.mark(tx, { kind: "blob", digest: blob });
  outbox.mark(tx, { kind: "manifest", digest });
}
