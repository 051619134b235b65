/**
 * The policy on unreachable manifests: those without a tag, an index that references them, or an existing subject. By
 * default they are kept, as they may be pulled by digest. With `UNTAGGED_TTL`, or with `untaggedAfter` in a rule, they
 * are removed after that time.
 */
import type { AnyDigest, Digest } from "../../oci/reference.ts";
import { type DueRow, jobOn } from "../due.ts";
import { hasRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Policies } from "./policies.ts";
import type { RepositoryRecord } from "./repository.ts";

/** The job that removes one manifest (deleted-manifests.ts). */
export const untaggedJob = "untagged";

/** The job that finds unreachable manifests that were stored before the policy was set. */
const scanJob = "untagged-scan";

const scanBatch = 500;

/** Schedules the removal of unreachable manifests. */
export class Untagged implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [scanJob]: {
      atDeletion: "cleared",
      run: jobOn<Digest | "">(async (due) => transaction(this.#host.storage, (tx) => this.#scan(tx, due))),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #policies: Policies;

  constructor(host: LedgerHost, policies: Policies) {
    this.#host = host;
    this.#policies = policies;
  }

  /** Whether a manifest is reachable: by a tag, by an index, or through its subject, if that exists. */
  isReached(digest: Digest): boolean {
    const ways = `SELECT 1 FROM tags WHERE digest = ?
      UNION ALL SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests JOIN manifests AS subjects ON subjects.digest = manifests.subject
        WHERE manifests.digest = ? LIMIT 1`;
    return hasRow(this.#host.sql, ways, digest, digest, digest);
  }

  /** Schedules the removal of those digests that are unreachable manifests. */
  removeLater(tx: Tx, digests: AnyDigest[]): void {
    const { sql, settings, due, clock } = this.#host;
    const { gcGraceMs } = settings;
    const { ttlMs } = this.#policies.untaggedTtl;
    if (ttlMs === undefined) return;
    const isManifest = "SELECT digest FROM manifests WHERE digest = ?";
    for (const { digest } of digests.flatMap((each) => readRows<{ digest: Digest }>(sql, isManifest, each))) {
      // The children of a deleted index must be kept as long as the index can be restored.
      if (!this.isReached(digest)) due.set(tx, untaggedJob, digest, clock.now() + Math.max(ttlMs, gcGraceMs));
    }
  }

  /** Postpones the removal of an unreachable manifest, as a client was told that it exists. */
  renew(digest: Digest): void {
    const { storage, due, clock } = this.#host;
    const { ttlMs } = this.#policies.untaggedTtl;
    const at = ttlMs === undefined ? undefined : due.at(untaggedJob, digest);
    const halfMs = (ttlMs ?? 0) / 2;
    // Writes at most twice during the TTL.
    if (at === undefined || at >= clock.now() + halfMs) return;
    transaction(storage, (tx) => this.removeLater(tx, [digest]));
  }

  /** Starts a scan for unreachable manifests if there was none since the policy changed. */
  scanIfNew(repository: RepositoryRecord): void {
    const { storage, due, clock } = this.#host;
    const { ttlMs } = this.#policies.untaggedTtl;
    const policy = String(ttlMs ?? "never");
    if (policy === (repository.meta?.untaggedTtl ?? "never")) return;
    transaction(storage, (tx) => {
      repository.write(tx, "untagged-ttl", policy);
      if (ttlMs !== undefined) due.set(tx, scanJob, "", clock.now());
    });
    repository.reload();
  }

  /** Scans the next batch for unreachable manifests that are not scheduled for removal. */
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
