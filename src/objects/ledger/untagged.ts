/**
 * The policy on unreachable manifests: those without a tag, an index that references them, or an existing subject. By
 * default they are kept, as they may be pulled by digest. With `UNTAGGED_TTL`, or with `untaggedAfter` in a rule, they
 * are removed after that time. If another time comes to hold, it begins anew for all of them.
 */
import type { AnyDigest, Digest } from "../../oci/reference.ts";
import { type DueRow, jobOn } from "../due.ts";
import { firstRow, hasRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Policies } from "./policies.ts";
import type { RepositoryRecord } from "./repository.ts";

/** The job that removes one manifest (deleted-manifests.ts). */
export const untaggedJob = "untagged";

/** The job that schedules the removal of all unreachable manifests, as the policy is new. */
const scanJob = "untagged-scan";

const scanBatch = 500;

/** What is on record where unreachable manifests are kept. */
const never = "never";

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
  readonly #repository: RepositoryRecord;

  constructor(host: LedgerHost, policies: Policies, repository: RepositoryRecord) {
    this.#host = host;
    this.#policies = policies;
    this.#repository = repository;
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
    const { sql, due, clock } = this.#host;
    const keptMs = this.#keptMs;
    this.#noteTtl(tx);
    if (keptMs === undefined) return;
    const isManifest = "SELECT digest FROM manifests WHERE digest = ?";
    for (const { digest } of digests.flatMap((each) => readRows<{ digest: Digest }>(sql, isManifest, each))) {
      if (!this.isReached(digest)) due.set(tx, untaggedJob, digest, clock.now() + keptMs);
    }
  }

  /** How long an unreachable manifest is kept, in milliseconds; `undefined`: for ever. */
  get #keptMs(): number | undefined {
    const { ttlMs } = this.#policies.untaggedTtl;
    // The children of a deleted index must be kept as long as the index can be restored.
    return ttlMs === undefined ? undefined : Math.max(ttlMs, this.#host.settings.gcGraceMs);
  }

  /** Postpones the removal of an unreachable manifest, as a client was told that it exists. */
  renew(digest: Digest): void {
    const { storage, due, clock } = this.#host;
    const { ttlMs } = this.#policies.untaggedTtl;
    const at = due.at(untaggedJob, digest);
    // Writes at most twice during the TTL.
    if (at === undefined || (ttlMs !== undefined && at >= clock.now() + ttlMs / 2)) return;
    transaction(storage, (tx) => this.removeLater(tx, [digest]));
  }

  /** Starts a scan for unreachable manifests if there was none since the policy changed. */
  scanIfNew(): void {
    const repository = this.#repository;
    if (repository.isCurrent && this.#ttl === (repository.meta?.untaggedTtl ?? never)) return;
    transaction(this.#host.storage, (tx) => this.#noteTtl(tx));
    repository.reload();
  }

  /** Whether some manifests may still be scheduled by another time than the one that holds. */
  isScanning(tx: Tx): boolean {
    this.#noteTtl(tx);
    return this.#host.due.has(scanJob);
  }

  /**
   * The time that holds, as the record of the repository has it. Earlier releases recorded it without its unit, and
   * left what was scheduled as it was: so everything is scheduled anew once.
   */
  get #ttl(): string {
    const { ttlMs } = this.#policies.untaggedTtl;
    return ttlMs === undefined ? never : `${ttlMs} ms`;
  }

  /**
   * Starts a scan if another time holds than was recorded. To be called before anything goes by that time: so whatever is
   * scheduled was scheduled by the time on record, or is by the scan.
   */
  #noteTtl(tx: Tx): void {
    const ttl = this.#ttl;
    const query = "SELECT value FROM meta WHERE key = 'untagged-ttl'";
    if (ttl === (firstRow<{ value: string }>(tx.sql, query)?.value ?? never)) return;
    this.#repository.write(tx, "untagged-ttl", ttl);
    if (ttl !== never) this.#host.due.set(tx, scanJob, "", this.#host.clock.now());
  }

  /**
   * Schedules the removal of the unreachable manifests of the next batch. Those that were scheduled since the time that
   * holds was recorded, which is when the scan became due, stay as they are.
   */
  #scan(tx: Tx, rows: DueRow<Digest | "">[]): void {
    const { sql, due, clock } = this.#host;
    const keptMs = this.#keptMs ?? 0;
    const page = "SELECT digest FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?";
    for (const { id: after, at: since } of rows) {
      const isCurrent = (at: number | undefined) =>
        at !== undefined && at >= since + keptMs && at <= clock.now() + keptMs;
      const digests = readRows<{ digest: Digest }>(sql, page, after, scanBatch).map(({ digest }) => digest);
      this.removeLater(
        tx,
        digests.filter((digest) => !isCurrent(due.at(untaggedJob, digest))),
      );
      due.clear(tx, scanJob, after);
      const last = digests.at(-1);
      if (last !== undefined) due.set(tx, scanJob, last, since);
    }
  }
}
