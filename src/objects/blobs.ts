/**
 * One of 256 shards that decide the life of digests: where the bytes of each are, which repositories hold it, and
 * when it may go. As one place decides, adoption, deduplication, mounting and deletion of a digest cannot race.
 *
 * A key in the store is stray (doomed, or a tombstone) or the content of one digest, never both. Doomed keys may
 * still be adopted; a tombstone may not, and its bytes are deleted only after it was written down.
 */
import { DurableObject } from "cloudflare:workers";
import { type Clock, type Env, parseSettings, type Settings, systemClock } from "../env.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { Bucket } from "../storage/bucket.ts";
import { openBucket } from "../storage/open-bucket.ts";
import type { BlobLocation } from "../storage/replica.ts";
import type { Adoption, BlobsApi } from "./api.ts";
import { scrubDigests } from "./blobs/scrub.ts";
import { BlobsStore, type Holder, type StrayKey } from "./blobs/store.ts";
import { type DueJob, type DueRow, DueTable } from "./due.ts";
import { reportIfDue } from "./report.ts";
import { emptyReport, type ScrubStep, scrubJob } from "./scrub/report.ts";
import { repositoryStub } from "./stubs.ts";
import { logDeletion, Tally } from "./tally.ts";
import type { Freed, ShardUsage } from "./upkeep.ts";

const nothing = { objects: 0, bytes: 0 };

type AdoptionOutcome = Awaited<ReturnType<BlobsApi["adopt"]>>;
/** Bytes that are going to be deleted. Without a size, the bucket is asked for it before. */
type Burial = { key: string; digest: string; sizeBytes?: number };
type AskedHolder = { id: string; digest: Digest; holder: Holder | undefined };

/** The shard; see {@link BlobsApi} for what each method promises. */
export class Blobs extends DurableObject<Env> implements BlobsApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #bucket: Bucket;
  readonly #due: DueTable;
  readonly #store: BlobsStore;
  readonly #tally = new Tally();

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#settings = parseSettings(env);
    this.#bucket = openBucket(env);
    this.#due = new DueTable(ctx.storage, clock);
    this.#store = new BlobsStore(ctx.storage.sql);
    if (this.#store.exists()) this.#due.arm();
  }

  async doom(digest: Digest, key: string, deleteAt: number): Promise<void> {
    this.#change(() => {
      this.#store.setStrayKey(key, { digest, state: "doomed", reason: "cut short", sizeBytes: null });
      this.#due.set("doom", key, deleteAt);
    });
  }

  async adopt(blob: BlobLocation, repository: RepositoryName): Promise<AdoptionOutcome> {
    this.#store.create();
    let missingKey: string | undefined;
    for (;;) {
      const known = this.#store.blob(blob.digest);
      const isOther = known !== undefined && known.key !== missingKey && !this.#store.isFaulty(blob.digest);
      const candidate = isOther ? known : blob;
      // The store is asked before the transaction, as nothing is awaited in one; if the digest changed its key
      // meanwhile, it is asked again.
      const isStored = (await this.#bucket.sizeOf(candidate.key)) === candidate.sizeBytes;
      const outcome = this.#change((): AdoptionOutcome | "ask again" => {
        if (this.#store.blob(blob.digest)?.key !== known?.key) return "ask again";
        if (isStored) return this.#adoptStored(blob, candidate, repository);
        return candidate.key === blob.key ? { ok: false, reason: "missing" } : "ask again";
      });
      if (outcome !== "ask again") return outcome;
      if (!isStored) missingKey = candidate.key;
    }
  }

  /** Adopts `blob`, or lends what the digest has already; `candidate` is the one of them that is in the store. */
  #adoptStored(blob: BlobLocation, candidate: BlobLocation, repository: RepositoryName): AdoptionOutcome {
    const current = this.#store.blob(blob.digest);
    if (candidate.key !== blob.key) {
      this.#buryDuplicate(blob);
    } else if (current?.key !== blob.key) {
      if (this.#store.strayKey(blob.key)?.state === "tombstone") return { ok: false, reason: "tombstoned" };
      if (current !== undefined) this.#bury(current, "lost or damaged, and replaced");
      this.#store.setBlob(blob);
      this.#due.scrubLater(this.#settings.scrubEveryMs);
      this.#store.clearStrayKey(blob.key);
      this.#due.clear("doom", blob.key);
    }
    return { ok: true, adoption: this.#lend(candidate, repository) };
  }

  async lease(digest: Digest, repository: RepositoryName): Promise<Adoption | undefined> {
    const known = await this.locate(digest);
    if (known === undefined) return undefined;
    const isStored = (await this.#bucket.sizeOf(known.key)) === known.sizeBytes;
    return this.#change(() => {
      const isCurrent = this.#store.blob(digest)?.key === known.key && !this.#store.isFaulty(digest);
      return isStored && isCurrent ? this.#lend(known, repository) : undefined;
    });
  }

  async locate(digest: Digest): Promise<BlobLocation | undefined> {
    return this.#store.exists() ? this.#store.blob(digest) : undefined;
  }

  async holders(digest: Digest, limit: number): Promise<RepositoryName[]> {
    return this.#store.exists() ? this.#store.holders(digest, limit) : [];
  }

  async release(repository: RepositoryName, digests: string[]): Promise<void> {
    this.#change(() => {
      for (const digest of digests) {
        // An answer that is on its way may be from before.
        this.#store.touchHolder(digest, repository);
        this.#due.set("holder", holderId(digest, repository), this.#clock.now());
      }
    });
  }

  async usage(): Promise<ShardUsage> {
    return this.#store.exists() ? this.#store.usage() : { blobs: nothing, leaving: nothing };
  }

  async isHeldBy(digest: Digest, repository: RepositoryName): Promise<boolean> {
    const isKnown = (await this.locate(digest)) !== undefined;
    return isKnown && this.#store.holder(digest, repository) !== undefined;
  }

  async unknownKeys(keys: string[]): Promise<string[]> {
    return this.#store.exists() ? this.#store.unknownKeys(keys) : keys;
  }

  async scrub(after: string): Promise<ScrubStep> {
    if (!this.#store.exists()) return { report: emptyReport(), next: undefined };
    const askHolder = (digest: Digest, repository: RepositoryName) => this.#askHolder(digest, repository);
    return scrubDigests({ env: this.env, store: this.#store, bucket: this.#bucket, askHolder }, after);
  }

  override async alarm(): Promise<void> {
    await this.#run();
  }

  async collect(budgetMs: number): Promise<{ freed: Freed; more: boolean }> {
    let more = false;
    const freed = await this.#tally.during(async () => {
      more = await this.#run(budgetMs);
    });
    return { freed, more };
  }

  /** Does what is due. Returns whether some of it is left. */
  async #run(budgetMs?: number): Promise<boolean> {
    const more = await this.#due.run(this.#jobs, budgetMs);
    reportIfDue(this.env, this.#clock.now(), (promise) => this.ctx.waitUntil(promise));
    return more;
  }

  /** In the order in which one leads to the next. */
  readonly #jobs: Record<string, DueJob> = {
    holder: (rows) => this.#dropHolders(rows),
    doom: async (rows) => this.#buryDoomed(rows),
    delete: (rows) => this.#deleteBuried(rows),
    forget: (rows) => this.#forgetTombstones(rows),
    [scrubJob]: (rows) => this.#due.scrub(rows, this.#settings.scrubEveryMs, (after) => this.scrub(after)),
  };

  /** Gives a repository time to link. What it is told ends earlier than what is kept: clocks differ. */
  #lend(blob: BlobLocation, repository: RepositoryName): Adoption {
    const now = this.#clock.now();
    const dropAfter = now + this.#settings.leaseMs;
    this.#store.hold(blob.digest, repository, dropAfter);
    this.#due.set("holder", holderId(blob.digest, repository), dropAfter);
    return { ...blob, leaseUntil: now + this.#settings.leaseMs * 0.8 };
  }

  /** Makes a holder due to be asked whether it holds a digest. Returns false where it will be asked anyway. */
  #askHolder(digest: Digest, repository: RepositoryName): boolean {
    const id = holderId(digest, repository);
    if (this.#due.at("holder", id) !== undefined) return false;
    this.#change(() => this.#due.set("holder", id, this.#clock.now()));
    return true;
  }

  /** The digest has other bytes already: these were never anybody's, and go at once. */
  #buryDuplicate(blob: BlobLocation): void {
    if (this.#store.strayKey(blob.key)?.state === "tombstone") return;
    this.#bury(blob, "the digest had bytes already", 0);
  }

  /** Writes down that a key's bytes are going to be deleted, so that nothing adopts them any more. */
  #bury(blob: Burial, reason: string, delayMs = this.#settings.deleteDelayMs): void {
    this.#store.setStrayKey(blob.key, {
      digest: blob.digest as Digest,
      state: "tombstone",
      reason,
      sizeBytes: blob.sizeBytes ?? null,
    });
    this.#due.clear("doom", blob.key);
    this.#due.set("delete", blob.key, this.#clock.now() + delayMs);
  }

  /** Drops holders that say that they hold a digest no longer, unless they got a new lease meanwhile. */
  async #dropHolders(rows: DueRow[]): Promise<void> {
    const asked = rows
      .map(({ id }) => ({ id, ...parseHolderId(id) }))
      .map((row) => {
        return { ...row, holder: this.#store.holder(row.digest, row.repository) };
      });
    for (const [repository, group] of Map.groupBy(asked, (row) => row.repository)) {
      try {
        const held = await repositoryStub(this.env, repository).holds(group.map((row) => row.digest));
        this.#settleHolders(repository, group, new Set(held));
      } catch (error) {
        // Its rows stay and are postponed; the other repositories' go on.
        console.warn(JSON.stringify({ event: "holder not asked", repository, error: String(error) }));
      }
    }
  }

  #settleHolders(repository: RepositoryName, asked: AskedHolder[], held: Set<string>): void {
    this.ctx.storage.transactionSync(() => {
      for (const { id, digest, holder } of asked) {
        const current = this.#store.holder(digest, repository);
        // Who changed it meanwhile has also said when it is due.
        if (current !== undefined && current.version !== holder?.version) continue;
        if (current === undefined || held.has(digest)) this.#due.clear("holder", id);
        else if (current.dropAfter > this.#clock.now()) this.#due.set("holder", id, current.dropAfter);
        else this.#dropHolder(digest, repository);
      }
    });
  }

  #dropHolder(digest: Digest, repository: RepositoryName): void {
    this.#store.dropHolder(digest, repository);
    this.#due.clear("holder", holderId(digest, repository));
    const blob = this.#store.blob(digest);
    if (blob === undefined || this.#store.holders(digest, 1).length > 0) return;
    this.#store.deleteBlob(digest);
    this.#bury(blob, "no repository holds it");
  }

  #buryDoomed(rows: DueRow[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const { id: key } of rows) {
        const stray = this.#store.strayKey(key);
        if (stray?.state === "doomed") this.#buryCutShort(key, stray.digest);
        else this.#due.clear("doom", key);
      }
    });
  }

  #buryCutShort(key: string, digest: Digest): void {
    this.#bury({ key, digest }, "its upload was cut short");
    this.#tally.add({ uploads: 1 });
  }

  async #deleteBuried(rows: DueRow[]): Promise<void> {
    const keys = rows.map((row) => row.id);
    const buried = keys
      .map((key) => ({ key, ...this.#store.strayKey(key) }))
      .filter((stray): stray is { key: string } & StrayKey => stray.state === "tombstone");
    if (buried.length > 0) {
      const sizes = await Promise.all(
        buried.map(({ key, sizeBytes }) => sizeBytes ?? this.#bucket.sizeOf(key)),
      );
      await this.#bucket.delete(buried.map(({ key }) => key));
      for (const [index, { key, digest, reason }] of buried.entries()) {
        const sizeBytes = sizes[index];
        // An upload may have been cut short before its first byte was stored.
        if (sizeBytes === undefined) continue;
        this.#tally.add({ blobs: 1, bytes: sizeBytes });
        logDeletion({ what: "blob bytes", reason, digest, key, sizeBytes });
      }
    }
    this.ctx.storage.transactionSync(() => {
      for (const key of keys) {
        this.#due.clear("delete", key);
        this.#due.set("forget", key, this.#clock.now() + this.#settings.tombstoneTtlMs);
      }
    });
  }

  /** A write that the bucket was thought to have failed may have landed since: bytes are deleted once more. */
  async #forgetTombstones(rows: DueRow[]): Promise<void> {
    await this.#bucket.delete(rows.map((row) => row.id));
    this.ctx.storage.transactionSync(() => {
      for (const { id: key } of rows) {
        this.#store.clearStrayKey(key);
        this.#due.clear("forget", key);
      }
    });
  }

  #change<T>(transaction: () => T): T {
    this.#store.create();
    const result = this.ctx.storage.transactionSync(transaction);
    this.#due.arm();
    return result;
  }
}

function holderId(digest: string, repository: string): string {
  return `${digest} ${repository}`;
}

function parseHolderId(id: string): { digest: Digest; repository: RepositoryName } {
  const [digest, repository] = id.split(" ");
  return { digest: digest as Digest, repository: repository as RepositoryName };
}
