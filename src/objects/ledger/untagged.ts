/**
 * The policy on manifests that nothing reaches: no tag, no index, no subject that is there. By default they stay, as
 * they may be pulled by digest; under `UNTAGGED_TTL` they go.
 */

import type { Digest } from "../../oci/digest.ts";
import type { DueRow } from "../due.ts";
import { type Tx, transaction } from "../sql.ts";
import type { LedgerParts } from "./parts.ts";
import { writeMeta } from "./schema.ts";

/** The job of the `due` table that removes one manifest. */
export const untaggedJob = "untagged";

/** The job that looks for manifests which were there before the policy was. */
export const untaggedScanJob = "untagged-scan";

const scanBatch = 500;

/** Lets those of the digests go, later, that are manifests which nothing reaches. */
export function untaggedLater(
  tx: Tx,
  { settings, manifests, due, clock, graceMs }: LedgerParts,
  digests: string[],
): void {
  const { untaggedTtlMs } = settings;
  if (untaggedTtlMs === undefined) return;
  for (const digest of digests) {
    if (!manifests.has(digest) || manifests.isReached(digest)) continue;
    // What an index that was deleted names must be there as long as the index may come back.
    due.set(tx, untaggedJob, digest, clock.now() + Math.max(untaggedTtlMs, graceMs));
  }
}

/** Keeps a manifest that nothing reaches for another while: a client is told that it is there. */
export function renewUntagged(parts: LedgerParts, digest: Digest): void {
  const { storage, settings, due, clock } = parts;
  const at = settings.untaggedTtlMs === undefined ? undefined : due.at(untaggedJob, digest);
  const halfMs = (settings.untaggedTtlMs ?? 0) / 2;
  // Written at most twice in the time.
  if (at === undefined || at >= clock.now() + halfMs) return;
  transaction(storage, (tx) => untaggedLater(tx, parts, [digest]));
}

/**
 * Begins to look for manifests that nothing reaches, where that was never done under the policy as it is now; `done`
 * is the one under which it was. Returns whether it begins.
 */
export function scanIfNew(tx: Tx, { settings, due, clock }: LedgerParts, done: string | undefined): boolean {
  const policy = String(settings.untaggedTtlMs ?? "never");
  if (policy === (done ?? "never")) return false;
  writeMeta(tx, "untagged-ttl", policy);
  if (settings.untaggedTtlMs !== undefined) due.set(tx, untaggedScanJob, "", clock.now());
  return true;
}

/** Goes on looking for manifests that nothing reaches and that are not due, in batches. */
export function scanUntagged(tx: Tx, parts: LedgerParts, rows: DueRow[]): void {
  const { manifests, due, clock } = parts;
  for (const { id: after } of rows) {
    const digests = manifests.page(after, scanBatch);
    untaggedLater(
      tx,
      parts,
      digests.filter((digest) => due.at(untaggedJob, digest) === undefined),
    );
    due.clear(tx, untaggedScanJob, after);
    const last = digests.at(-1);
    if (last !== undefined) due.set(tx, untaggedScanJob, last, clock.now());
  }
}
