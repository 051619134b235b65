/**
 * One of the shards that decide the life of digests: where the bytes of each are, which repositories hold it, and
 * when it may go. As one place decides, adoption, deduplication, mounting and deletion of a digest cannot race.
 *
 * A key in the store is stray (doomed, or a tombstone) or the content of one digest, never both. Doomed keys may
 * still be adopted; a tombstone may not, and its bytes are deleted only after it was written down.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/name.ts";
import { BucketFailed } from "../storage/bucket.ts";
import type { BlobLocation } from "../storage/replica.ts";
import {
  bury,
  buryDoomed,
  deleteBuried,
  dropJob,
  dropUnheld,
  endDelays,
  forgetTombstones,
} from "./blob-shard/deletion.ts";
import { type Condition, conditionOf, examine, readAgain, readAgainJob } from "./blob-shard/faults.ts";
import { askAgain, askHolders, askTime, lend } from "./blob-shard/holders.ts";
import { makeShardParts, type ShardParts } from "./blob-shard/parts.ts";
import { scrubDigests } from "./blob-shard/scrub.ts";
import { isGivenUp } from "./blob-shard/store.ts";
import type { Adoption, BlobShardApi } from "./blob-shard-api.ts";
import type { DueJob } from "./due.ts";
import { reportIfDue } from "./report.ts";
import { emptyReport, type ScrubStep, scrubJob } from "./scrub/report.ts";
import { type Collected, type CollectHow, endedAtOnce, type ShardUsage } from "./upkeep.ts";

const nothing = { objects: 0, bytes: 0 };

type AdoptionOutcome = Awaited<ReturnType<BlobShardApi["adopt"]>>;

/** Why bytes cannot be lent, by their keys. */
type Rejection = Exclude<Condition, "good"> | "tombstoned";
type Rejected = Map<string, Rejection>;

/** The shard; see {@link BlobShardApi} for what each method promises. */
export class BlobShard extends DurableObject<Env> implements BlobShardApi {
  readonly #parts: ShardParts;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#parts = makeShardParts(ctx.storage, env, clock);
    if (this.#exists) void this.#parts.due.wake();
  }

  get #exists(): boolean {
    return this.#parts.store.exists();
  }

  // ── Bytes ────────────────────────────────────────────────────────────────────────────────────────────────────

  async doom(digest: Digest, key: string, deleteAt: number): Promise<void> {
    const { store, clock, settings } = this.#parts;
    const change = () => {
      if (store.isContent(key) || isGivenUp(store.strayKey(key))) return;
      store.setStrayKey(key, {
        digest,
        state: "doomed",
        reason: "cut short",
        sizeBytes: null,
        dueAt: deleteAt,
      });
    };
    // The adoption that follows has the holder asked.
    this.#change(change, askTime(this.#parts, clock.now() + settings.leaseMs));
  }

  async adopt(pushed: BlobLocation, repository: RepositoryName): Promise<AdoptionOutcome> {
    this.#parts.store.create();
    const rejected: Rejected = new Map();
    for (;;) {
      const candidate = this.#candidate(pushed, rejected);
      if (candidate === undefined) return giveUp(pushed, rejected);
      // The store is asked before the transaction, as nothing is awaited in one; if another candidate is better by
      // then, that is looked at.
      const condition = await this.#conditionOf(candidate, pushed);
      const adoption = this.#change(() => {
        if (this.#candidate(pushed, rejected)?.key !== candidate.key) return undefined;
        const rejection = condition === "good" ? this.#rejectionOf(candidate) : condition;
        if (rejection !== undefined) {
          rejected.set(candidate.key, rejection);
          return undefined;
        }
        return candidate.key === pushed.key
          ? this.#take(pushed, repository, rejected)
          : this.#lendKnown(candidate, pushed, repository);
      });
      if (adoption !== undefined) return { ok: true, adoption };
    }
  }

  /**
   * The bytes to lend: those that the digest has already, if somebody holds it, else what was pushed; and the other ones
   * where these were rejected.
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

  /** What the shard knows against bytes that are stored as they should be. */
  #rejectionOf({ digest, key }: BlobLocation): Rejection | undefined {
    const { store } = this.#parts;
    if (isGivenUp(store.strayKey(key))) return "tombstoned";
    return store.blob(digest)?.key === key ? store.fault(digest) : undefined;
  }

  /** Lends what the digest has already. What was pushed was never anybody's, and goes at once. */
  #lendKnown(known: BlobLocation, pushed: BlobLocation, repository: RepositoryName): Adoption {
    const isBuried = isGivenUp(this.#parts.store.strayKey(pushed.key));
    if (!isBuried) bury(this.#parts, pushed, "the digest had bytes already", 0);
    return lend(this.#parts, known, repository);
  }

  /** Makes bytes the content of their digest, in the place of those that it had. */
  #take(pushed: BlobLocation, repository: RepositoryName, rejected: Rejected): Adoption {
    const { store, due, settings } = this.#parts;
    const known = store.blob(pushed.digest);
    if (known?.key !== pushed.key) {
      if (known !== undefined) this.#replace(known, rejected.get(known.key));
      store.setBlob(pushed);
      due.scrubLater(settings.scrubEveryMs);
      store.clearStrayKey(pushed.key);
      due.clear(readAgainJob, pushed.digest);
    }
    return lend(this.#parts, pushed, repository);
  }

  #replace(known: BlobLocation, condition: Rejection | undefined): void {
    const { gcGraceMs, deleteDelayMs } = this.#parts.settings;
    // Wrong bytes are no use to anybody who was told where they are. Nobody knows what is wrong with those that cannot
    // be read: whoever looks after the store has time to find out.
    if (condition === "unreadable")
      bury(this.#parts, known, "could not be read, and replaced", Math.max(gcGraceMs, deleteDelayMs));
    else if (condition === "wrong") bury(this.#parts, known, "lost or damaged, and replaced", 0);
    else bury(this.#parts, known, "no repository holds it", deleteDelayMs);
  }

  async lease(digest: Digest, repository: RepositoryName): Promise<Adoption | undefined> {
    const known = await this.locate(digest);
    if (known === undefined || (await conditionOf(this.#parts, known)) !== "good") return undefined;
    return this.#change(() => {
      const isCurrent = this.#parts.store.blob(digest)?.key === known.key;
      return isCurrent && this.#rejectionOf(known) === undefined
        ? lend(this.#parts, known, repository)
        : undefined;
    });
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

  async isHeldBy(digest: Digest, repository: RepositoryName): Promise<boolean> {
    const isKnown = (await this.locate(digest)) !== undefined;
    return isKnown && this.#parts.store.holder(digest, repository) !== undefined;
  }

  async release(repository: RepositoryName, digests: string[]): Promise<void> {
    if (!this.#exists) return;
    this.#change(() => {
      for (const digest of digests) askAgain(this.#parts, digest, repository);
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
      if (endsGrace && this.#exists) store.askAfterLeases(clock.now(), endedAtOnce);
      more = await due.run(this.#jobs, budgetMs);
      if (!endsGrace || !this.#exists) return;
      // Also of what holders have just given up; and what one round gives up, the next one deletes.
      for (let round = 0; round < 2; round++) {
        const ended = transaction(() => endDelays(this.#parts, endedAtOnce));
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
    holder: (rows) => askHolders(this.#parts, rows),
    [dropJob]: async (rows) => this.#parts.transaction(() => dropUnheld(this.#parts, rows)),
    doom: async (rows) => this.#parts.transaction(() => buryDoomed(this.#parts, rows)),
    delete: (rows) => deleteBuried(this.#parts, rows),
    forget: (rows) => forgetTombstones(this.#parts, rows),
    [readAgainJob]: (rows) => readAgain(this.#parts, rows),
    [scrubJob]: (rows) => {
      const { due, settings } = this.#parts;
      return due.scrub(rows, settings.scrubEveryMs, (after) => this.scrub(after));
    },
  };

  /** Runs one transaction, and starts what it left to be done, `by` a time if it can be later. */
  #change<T>(transaction: () => T, by?: number): T {
    const { store, due } = this.#parts;
    store.create();
    const result = this.#parts.transaction(transaction);
    due.arm(by);
    return result;
  }
}

/**
 * The answer where no bytes can be lent.
 *
 * @throws BucketFailed where some cannot be read just now: they may be good, and the call is to be repeated.
 */
function giveUp(pushed: BlobLocation, rejected: Rejected): AdoptionOutcome {
  if (rejected.values().some((rejection) => rejection === "unreadable"))
    throw new BucketFailed(`the bytes of ${pushed.digest} cannot be read`);
  return { ok: false, reason: rejected.get(pushed.key) === "tombstoned" ? "tombstoned" : "missing" };
}
