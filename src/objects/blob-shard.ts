/**
 * A shard of digests: it decides where the bytes of each digest are, which repositories hold it, and when it is
 * deleted. As one object decides, adoption, deduplication, mounting and deletion of a digest cannot race.
 *
 * A key in the bucket is either the content of one digest or scheduled for deletion. It may be adopted until it becomes
 * a tombstone, and bytes are deleted only after their tombstone was written.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { PatternSets } from "../oci/grant.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import type { Adoption, AdoptionOutcome, BlobShardApi, VerifiedBytes } from "../rpc/blob-shard-api.ts";
import { reportIfDue } from "../rpc/report-counts.ts";
import { emptyReport, type ScrubStep, scrubJob } from "../rpc/scrub-report.ts";
import { type Collected, type CollectHow, endedAtOnce, type ShardUsage } from "../rpc/upkeep.ts";
import { BucketFailed } from "../storage/bucket.ts";
import type { BlobLocation } from "../storage/replica.ts";
import {
  deleteTombstoned,
  dropJob,
  dropUnheld,
  endCutShort,
  endDelays,
  forgetTombstones,
  writeTombstone,
} from "./blob-shard/deletion.ts";
import { type Condition, conditionOf, examine, readAgain, readAgainJob } from "./blob-shard/faults.ts";
import {
  askAgain,
  askHolders,
  askTime,
  findMountSource,
  grantLease,
  type HolderId,
} from "./blob-shard/holders.ts";
import { makeShardParts, type ShardParts } from "./blob-shard/parts.ts";
import { scrubDigests } from "./blob-shard/scrub.ts";
import { isTombstone } from "./blob-shard/store.ts";
import { type DueJob, jobOn } from "./due.ts";
import { runScrub, scheduleScrub } from "./scrub/schedule.ts";
import type { Tx } from "./sql.ts";

const nothing = { objects: 0, bytes: 0 };

/** Why bytes cannot be leased, by their keys. */
type Rejection = Exclude<Condition, "good"> | "tombstoned";
type Rejected = Map<string, Rejection>;

/** The shard; see {@link BlobShardApi} for what each method does. */
export class BlobShard extends DurableObject<Env> implements BlobShardApi {
  readonly #parts: ShardParts;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#parts = makeShardParts(ctx.storage, env, clock);
    if (!this.#exists) return;
    // The setting may have been another.
    this.#parts.transaction((tx) => scheduleScrub(tx, this.#parts));
    void this.#parts.due.wake();
  }

  get #exists(): boolean {
    return this.#parts.store.exists();
  }

  // ── Bytes ────────────────────────────────────────────────────────────────────────────────────────────────────

  async doom(
    digest: Digest,
    key: string,
    deleteAt: number,
    isListed?: boolean,
  ): Promise<"unlisted" | undefined> {
    if (!this.#exists && isListed === false) return "unlisted";
    const { store, clock, settings } = this.#parts;
    const schedule = (tx: Tx) => {
      if (store.isContent(key) || isTombstone(store.scheduledDeletion(key))) return;
      const deletion = { digest, reason: "cut short", sizeBytes: null, dueAt: deleteAt };
      store.scheduleDeletion(tx, key, { ...deletion, state: "doomed" });
    };
    // The adoption that follows has the holder asked.
    this.#change(schedule, askTime(this.#parts, clock.now() + settings.leaseMs));
    return undefined;
  }

  async adopt(
    { segments, mayBeRead = false, ...pushed }: VerifiedBytes,
    repository: RepositoryName,
    isListed?: boolean,
  ): Promise<AdoptionOutcome> {
    if (!this.#exists && isListed === false) return { ok: false, reason: "unlisted" };
    this.#parts.transaction((tx) => this.#parts.store.create(tx));
    const rejected: Rejected = new Map();
    for (;;) {
      const candidate = this.#candidate(pushed, rejected);
      if (candidate === undefined) return giveUp(pushed, rejected);
      // The store is asked before the transaction, as nothing is awaited in one; if another candidate is better by
      // then, that is looked at.
      const condition = await this.#conditionOf(candidate, pushed);
      const adoption = this.#change((tx) => {
        if (this.#candidate(pushed, rejected)?.key !== candidate.key) return undefined;
        const rejection = condition === "good" ? this.#rejectionOf(candidate) : condition;
        if (rejection !== undefined) {
          rejected.set(candidate.key, rejection);
          return undefined;
        }
        if (candidate.key !== pushed.key) {
          this.#drop(tx, pushed, mayBeRead);
          return grantLease(tx, this.#parts, candidate, repository);
        }
        if (segments !== undefined) this.#parts.store.setSegments(tx, pushed.key, segments);
        return this.#take(tx, pushed, repository, rejected);
      });
      if (adoption !== undefined) return { ok: true, adoption };
    }
  }

  /**
   * The bytes to lease: those that the digest already has, if a repository holds it, otherwise the pushed ones; the
   * other of the two if the first were rejected.
   */
  #candidate(pushed: BlobLocation, rejected: Rejected): BlobLocation | undefined {
    const { store } = this.#parts;
    const known = store.blob(pushed.digest);
    if (known === undefined || known.key === pushed.key) return rejected.has(pushed.key) ? undefined : pushed;
    const isHeld = store.holders(pushed.digest, 1).length > 0;
    return (isHeld ? [known, pushed] : [pushed, known]).find((each) => !rejected.has(each.key));
  }

  async #conditionOf(candidate: BlobLocation, pushed: BlobLocation): Promise<Condition> {
    if (candidate.key !== pushed.key) return conditionOf(this.#parts, candidate);
    const sizeBytes = await this.#parts.bucket.sizeOf(pushed.key);
    return sizeBytes === pushed.sizeBytes ? "good" : "wrong";
  }

  /** Why bytes cannot be leased even though they are stored correctly. */
  #rejectionOf({ digest, key }: BlobLocation): Rejection | undefined {
    const { store } = this.#parts;
    if (isTombstone(store.scheduledDeletion(key))) return "tombstoned";
    return store.blob(digest)?.key === key ? store.fault(digest) : undefined;
  }

  /** Deletes pushed bytes that the digest does not need: they have no holder. At once, unless they may be read. */
  #drop(tx: Tx, pushed: BlobLocation, mayBeRead: boolean): void {
    const { store, settings } = this.#parts;
    if (isTombstone(store.scheduledDeletion(pushed.key))) return;
    const delayMs = mayBeRead ? settings.deleteDelayMs : 0;
    writeTombstone(tx, this.#parts, pushed, "the digest had bytes already", delayMs);
  }

  /** Makes bytes the content of their digest, and replaces those that it had. */
  #take(tx: Tx, pushed: BlobLocation, repository: RepositoryName, rejected: Rejected): Adoption {
    const { store, due } = this.#parts;
    const known = store.blob(pushed.digest);
    if (known?.key !== pushed.key) {
      if (known !== undefined) this.#replace(tx, known, rejected.get(known.key));
      store.setBlob(tx, pushed);
      scheduleScrub(tx, this.#parts);
      store.cancelDeletion(tx, pushed.key);
      due.clear(tx, readAgainJob, pushed.digest);
    }
    return grantLease(tx, this.#parts, pushed, repository);
  }

  #replace(tx: Tx, known: BlobLocation, condition: Rejection | undefined): void {
    const { gcGraceMs, deleteDelayMs } = this.#parts.settings;
    // Wrong bytes are useless even to readers that know their location. Bytes that cannot be read may be intact: they
    // are kept for a while, so that the operator can find out.
    const discard = (reason: string, delayMs: number) =>
      writeTombstone(tx, this.#parts, known, reason, delayMs);
    if (condition === "unreadable")
      discard("could not be read, and replaced", Math.max(gcGraceMs, deleteDelayMs));
    else if (condition === "wrong") discard("lost or damaged, and replaced", 0);
    else discard("no repository holds it", deleteDelayMs);
  }

  async lease(digest: Digest, repository: RepositoryName): Promise<Adoption | undefined> {
    const known = await this.locate(digest);
    if (known === undefined || (await conditionOf(this.#parts, known)) !== "good") return undefined;
    // If the digest was given up or replaced meanwhile, these bytes are a tombstone.
    return this.#change((tx) =>
      this.#rejectionOf(known) === undefined ? grantLease(tx, this.#parts, known, repository) : undefined,
    );
  }

  async locate(digest: Digest): Promise<BlobLocation | undefined> {
    return this.#exists ? this.#parts.store.blob(digest) : undefined;
  }

  async verify(digest: Digest): Promise<void> {
    const known = await this.locate(digest);
    if (known === undefined) return;
    await examine(this.#parts, known);
    this.#parts.due.arm();
  }

  async unknownKeys(keys: string[]): Promise<string[]> {
    return this.#exists ? this.#parts.store.unknownKeys(keys) : keys;
  }

  // ── Holders ──────────────────────────────────────────────────────────────────────────────────────────────────

  async holders(digest: Digest, limit: number): Promise<RepositoryName[]> {
    return this.#exists ? this.#parts.store.holders(digest, limit) : [];
  }

  async mountSource(
    digest: Digest,
    patternSets: PatternSets,
    target: RepositoryName,
  ): Promise<RepositoryName | undefined> {
    const { store, clock } = this.#parts;
    return this.#exists ? findMountSource(store, digest, patternSets, target, clock.now()) : undefined;
  }

  async isHeldBy(digest: Digest, repository: RepositoryName): Promise<boolean> {
    const isKnown = (await this.locate(digest)) !== undefined;
    return isKnown && this.#parts.store.holder(digest, repository) !== undefined;
  }

  async release(repository: RepositoryName, digests: Digest[]): Promise<void> {
    if (!this.#exists) return;
    this.#change((tx) => {
      for (const digest of digests) askAgain(tx, this.#parts, digest, repository);
    });
  }

  // ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────

  async usage(): Promise<ShardUsage> {
    return this.#exists ? this.#parts.store.usage() : { blobs: nothing, leaving: nothing };
  }

  async scrub(after: string): Promise<ScrubStep> {
    if (!this.#exists) return { report: emptyReport(), next: undefined };
    const step = await scrubDigests(this.#parts, after);
    this.#parts.due.arm();
    return step;
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    await this.#parts.due.runAlarm(this.#jobs, invocation);
    this.#report();
  }

  async collect({ budgetMs, endsGrace }: CollectHow): Promise<Collected> {
    let more = false;
    const freed = await this.#parts.tally.during(async () => {
      const { due, store, clock, transaction } = this.#parts;
      if (endsGrace && this.#exists) transaction((tx) => store.askAfterLeases(tx, clock.now(), endedAtOnce));
      more = await due.run(this.#jobs, budgetMs);
      if (!endsGrace || !this.#exists) return;
      // Also of what holders have just given up; and what one round gives up, the next one deletes.
      for (let round = 0; round < 2; round++) {
        const ended = transaction((tx) => endDelays(tx, this.#parts, endedAtOnce));
        more = (await due.run(this.#jobs, budgetMs)) || ended >= endedAtOnce;
      }
    });
    this.#report();
    const { store, clock } = this.#parts;
    return { freed, more, keptUntilMs: endsGrace && this.#exists ? store.leasedUntil(clock.now()) : 0 };
  }

  #report(): void {
    reportIfDue(this.env, this.#parts.clock.now(), (promise) => this.ctx.waitUntil(promise));
  }

  /** In the order in which one leads to the next. */
  readonly #jobs: Record<string, DueJob> = {
    holder: jobOn<HolderId>((rows) => askHolders(this.#parts, rows)),
    [dropJob]: jobOn<Digest>(async (rows) =>
      this.#parts.transaction((tx) => dropUnheld(tx, this.#parts, rows)),
    ),
    doom: async (rows) => this.#parts.transaction((tx) => endCutShort(tx, this.#parts, rows)),
    delete: (rows) => deleteTombstoned(this.#parts, rows),
    forget: (rows) => forgetTombstones(this.#parts, rows),
    [readAgainJob]: jobOn<Digest>((rows) => readAgain(this.#parts, rows)),
    [scrubJob]: (rows) =>
      runScrub({ ...this.#parts, storage: this.ctx.storage }, rows, (after) => this.scrub(after)),
  };

  /** Runs one transaction, and starts what it left to be done, `by` a time if it can be later. */
  #change<T>(work: (tx: Tx) => T, by?: number): T {
    const { store, due, transaction } = this.#parts;
    const result = transaction((tx) => {
      store.create(tx);
      return work(tx);
    });
    due.arm(by);
    return result;
  }
}

/**
 * The answer where no bytes can be leased.
 *
 * @throws BucketFailed where some cannot be read just now: they may be good, and the call is to be repeated.
 */
function giveUp(pushed: BlobLocation, rejected: Rejected): AdoptionOutcome {
  if (rejected.values().some((rejection) => rejection === "unreadable"))
    throw new BucketFailed(`the bytes of ${pushed.digest} cannot be read`);
  return { ok: false, reason: rejected.get(pushed.key) === "tombstoned" ? "tombstoned" : "missing" };
}
