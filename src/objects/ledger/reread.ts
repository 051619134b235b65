/**
 * Rereads stored manifests after an upgrade whose parser finds more references in them than that of earlier releases.
 * The new references are protected from then on. Until all manifests are read, the ledger deletes nothing.
 */

import { readStoredManifest } from "../../oci/manifest.ts";
import type { Digest } from "../../oci/reference.ts";
import type { ManifestStat } from "../../rpc/api.ts";
import { type DueRow, type DueTable, jobOn } from "../due.ts";
import { type Tx, takeBytes, transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Manifests } from "./manifests.ts";
import type { Outbox } from "./outbox.ts";

/** The job that reads a batch of manifests; its id is the last digest that was read. */
export const rereadJob = "reread";

/** The job that restores the next batch of a deleted repository (restoring.ts). */
export const restoreJob = "restore-generation";

const batchRows = 100;

/**
 * Whether there are manifests whose references are not all known: this release has not read them yet, or has still to
 * find out whether it must, as they are being restored.
 */
export function hasUnread(due: DueTable): boolean {
  return due.has(rereadJob) || due.has(restoreJob);
}

/** The rereading of manifests. */
export class Rereading implements Feature {
  readonly tables = {};

  readonly steps = {
    // Makes this release reread all manifests. A release whose parser finds more references adds such a step.
    6: `
  INSERT OR REPLACE INTO due (kind, id, at) SELECT '${rereadJob}', '', 0 FROM manifests WHERE digest > '' LIMIT 1;
`,
  };

  readonly jobs = {
    [rereadJob]: {
      atDeletion: "cleared",
      run: jobOn<Digest | "">(async (due) =>
        transaction(this.#host.storage, (tx) => this.#rereadBatch(tx, due)),
      ),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #manifests: Manifests;
  readonly #blobs: Blobs;
  readonly #outbox: Outbox;

  constructor(host: LedgerHost, manifests: Manifests, blobs: Blobs, outbox: Outbox) {
    this.#host = host;
    this.#manifests = manifests;
    this.#blobs = blobs;
    this.#outbox = outbox;
  }

  /** Rereads the next manifests. */
  #rereadBatch(tx: Tx, rows: DueRow<Digest | "">[]): void {
    const { due, clock } = this.#host;
    for (const { id: after } of rows) {
      const stats = takeBytes(this.#manifests.page(after, batchRows), ({ sizeBytes }) => sizeBytes);
      for (const stat of stats) this.reread(tx, stat);
      due.clear(tx, rereadJob, after);
      const last = stats.at(-1);
      if (last !== undefined) due.set(tx, rereadJob, last.digest, clock.now());
    }
  }

  /** Rereads a manifest, and adds references that are not recorded. */
  reread(tx: Tx, { digest, mediaType, sizeBytes }: ManifestStat): void {
    const { references } = readStoredManifest(this.#manifests.bytes(digest, sizeBytes), mediaType);
    const added = this.#manifests.addReferences(tx, digest, references);
    if (added.length === 0) return;
    for (const blob of this.#blobs.reference(tx, added))
      this.#outbox.mark(tx, { kind: "blob", digest: blob });
    this.#outbox.mark(tx, { kind: "manifest", digest });
  }
}
