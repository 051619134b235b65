/**
 * The policy on manifests that nothing reaches: no tag, no index, no subject that is there. By default they stay, as
 * they may be pulled by digest; under `UNTAGGED_TTL` they go.
 */
import type { AnyDigest, Digest } from "../../oci/reference.ts";
import { type DueRow, jobOn } from "../due.ts";
import { hasRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { RepositoryRecord } from "./repository.ts";

/** The job that removes one manifest (deleted-manifests.ts). */
export const untaggedJob = "untagged";

/** The job that looks for manifests that were there before the policy. */
const scanJob = "untagged-scan";

const scanBatch = 500;

/** Which manifests are due to be removed. */
export class Untagged implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [scanJob]: {
      atDeletion: "emptied",
      run: jobOn<Digest | "">(async (due) => transaction(this.#host.storage, (tx) => this.#scan(tx, due))),
    },
  } as const;

  readonly #host: LedgerHost;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** Whether something leads to a manifest: a tag, an index, or its subject, if that exists. */
  isReached(digest: Digest): boolean {
    const ways = `SELECT 1 FROM tags WHERE digest = ?
      UNION ALL SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests JOIN manifests AS subjects ON subjects.digest = manifests.subject
        WHERE manifests.digest = ? LIMIT 1`;
    return hasRow(this.#host.sql, ways, digest, digest, digest);
  }

  /** Has those of the digests removed, later, that are manifests which nothing reaches. */
  removeLater(tx: Tx, digests: AnyDigest[]): void {
    const { sql, settings, due, clock } = this.#host;
    const { untaggedTtlMs, gcGraceMs } = settings;
    if (untaggedTtlMs === undefined) return;
    const isManifest = "SELECT digest FROM manifests WHERE digest = ?";
    for (const { digest } of digests.flatMap((each) => readRows<{ digest: Digest }>(sql, isManifest, each))) {
      // What a deleted index names must stay for as long as the index can be restored.
      if (!this.isReached(digest))
        due.set(tx, untaggedJob, digest, clock.now() + Math.max(untaggedTtlMs, gcGraceMs));
    }
  }

  /** Keeps a manifest that nothing reaches for another while: a client is told that it is there. */
  renew(digest: Digest): void {
    const { storage, settings, due, clock } = this.#host;
    const at = settings.untaggedTtlMs === undefined ? undefined : due.at(untaggedJob, digest);
    const halfMs = (settings.untaggedTtlMs ?? 0) / 2;
    // Written at most twice in the time.
    if (at === undefined || at >= clock.now() + halfMs) return;
    transaction(storage, (tx) => this.removeLater(tx, [digest]));
  }

  /** Begins to look for manifests that nothing reaches, where that was never done under the policy as it is now. */
  scanIfNew(repository: RepositoryRecord): void {
    const { storage, settings, due, clock } = this.#host;
    const policy = String(settings.untaggedTtlMs ?? "never");
    if (policy === (repository.meta?.untaggedTtl ?? "never")) return;
    transaction(storage, (tx) => {
      repository.write(tx, "untagged-ttl", policy);
      if (settings.untaggedTtlMs !== undefined) due.set(tx, scanJob, "", clock.now());
    });
    repository.reload();
  }

  /** Goes on looking for manifests that nothing reaches and that are not due, in batches. */
  #scan(tx: Tx, rows: DueRow<Digest | "">[]): void {
    const { sql, due, clock } = this.#host;
    const page = "SELECT digest FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?";
    for (const { id: after } of rows) {
      const digests = readRows<{ digest: Digest }>(sql, page, after, scanBatch).map(({ digest }) => digest);
      this.removeLater(
        tx,
        digests.filter((digest) => due.at(untaggedJob, digest) === undefined),
      );
      due.clear(tx, scanJob, after);
      const last = digests.at(-1);
      if (last !== undefined) due.set(tx, scanJob, last, clock.now());
    }
  }
}
