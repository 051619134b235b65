/**
 * The catalog, one per registry: accounts, tokens, signing keys, the audit log, and the list of repositories, which is
 * derived from the ledgers. It is small and rarely written, and the edge caches what it needs. Each part is in a file
 * of its own in catalog/.
 */
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { LaterData, StoredClass } from "../data-versions.ts";
import type { Report, Sample } from "../metrics/meter.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Rules, StoredPolicies } from "../policy/document.ts";
import type { Backlog, CatalogApi, ListedRepository, Page, RepositoryInfo, TagPulls } from "../rpc/api.ts";
import type { KnownName } from "../rpc/name-index-api.ts";
import type { ListedRun, WaitingRun } from "../rpc/policies-api.ts";
import { scrubJob } from "../rpc/scrub-report.ts";
import { type Stores, scrubStores } from "../rpc/scrub-stores.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { openReplica } from "../storage/replica.ts";
import { second } from "../units.ts";
import { Announcements } from "./catalog/announcements.ts";
import { armingJob, runArming, scheduleArming } from "./catalog/arming.ts";
import { CatalogCredentials } from "./catalog/credentials.ts";
import { KnownObjects } from "./catalog/known-objects.ts";
import { LaterDataList } from "./catalog/later-data-list.ts";
import { Metrics } from "./catalog/metrics.ts";
import { Policies } from "./catalog/policies.ts";
import { RepositoryList } from "./catalog/repository-list.ts";
import { catalogSchema } from "./catalog/schema.ts";
import { type DueRow, DueTable } from "./due.ts";
import { applySchema } from "./schema.ts";
import { runScrub, scheduleScrub } from "./scrub/schedule.ts";

/** For how many repositories the metrics show pulls. */
const maxPulledRepositories = 1000;

/** The catalog; see {@link CatalogApi} for what each method does. */
export class Catalog extends CatalogCredentials implements CatalogApi {
  readonly #repositories: RepositoryList;
  readonly #announcements: Announcements;
  readonly #metrics: Metrics;
  readonly #policies: Policies;
  readonly #objects: KnownObjects;
  readonly #laterData: LaterDataList;
  readonly #due: DueTable;
  readonly #stores: Stores;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env, clock);
    const { storage } = ctx;
    const { settings } = this;
    this.#repositories = new RepositoryList(storage.sql);
    this.#announcements = new Announcements(storage.sql);
    this.#metrics = new Metrics(storage.sql);
    this.#policies = new Policies(storage.sql);
    this.#objects = new KnownObjects(storage.sql);
    this.#laterData = new LaterDataList(storage.sql);
    this.#due = new DueTable(storage, clock);
    this.#stores = { objects: env, bucket: openBucket(env), replica: openReplica(env), settings };
    this.change((tx) => {
      const isTakeover = KnownObjects.isOfEarlierRelease(tx.sql);
      applySchema(tx, catalogSchema);
      if (isTakeover) this.#objects.takeOver(tx, clock.now());
      this.#laterData.forgetReadable(tx);
      scheduleScrub(tx, { due: this.#due, clock, settings });
    });
    void this.#due.wake();
  }

  /** Tells ledgers of new policies; scrubs the bucket and the replica periodically. */
  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const shared = { env: this.env, storage: this.ctx.storage, clock: this.clock, due: this.#due };
    const scrubbed = { ...shared, settings: this.settings };
    const scrub = (after: string) => scrubStores(this.#stores, after, this.clock.now());
    const walked = { ...shared, policies: this.#policies, repositories: this.#repositories };
    const jobs = {
      [armingJob]: (rows: DueRow[]) => runArming(walked, rows, this.clock.now()),
      [scrubJob]: (rows: DueRow[]) => runScrub(scrubbed, rows, scrub),
    };
    await this.#due.runAlarm(jobs, invocation);
  }

  // ── Repositories ─────────────────────────────────────────────────────────────────────────────────────────────

  async putRepository(
    info: RepositoryInfo,
    usedDay: number | undefined,
    keepsDeleted: boolean,
    version?: number,
  ): Promise<number | undefined> {
    return this.change((tx) => {
      const later = this.#announcements.note(tx, info.name, version, undefined);
      if (later !== undefined) return later;
      this.#repositories.put(tx, info, usedDay);
      this.#repositories.noteDeleted(tx, info.name, keepsDeleted);
    });
  }

  async removeRepository(
    repository: RepositoryName,
    keepsDeleted: boolean,
    version?: number,
  ): Promise<number | undefined> {
    return this.change((tx) => {
      const later = this.#announcements.note(tx, repository, version, this.clock.now());
      if (later !== undefined) return later;
      this.#repositories.remove(tx, repository);
      this.#policies.putWaiting(tx, repository, undefined);
      this.#repositories.noteDeleted(tx, repository, keepsDeleted);
    });
  }

  async listLedgers(last: string, limit: number): Promise<Page<RepositoryName>> {
    return this.#repositories.ledgers(last, limit);
  }

  async listRepositories(query: string, last: string, limit: number): Promise<Page<ListedRepository>> {
    return this.#repositories.page(query, last, limit);
  }

  async repository(name: RepositoryName): Promise<ListedRepository | undefined> {
    return this.#repositories.find(name);
  }

  async repositoryNames(
    last: string,
    limit: number,
  ): Promise<{ names: KnownName[]; more: boolean; settledAtMs: number }> {
    const { entries, more } = this.#repositories.ledgers(last, limit);
    const isPublic = (name: RepositoryName) => this.#repositories.find(name)?.visibility === "public";
    const names = entries.map((name) => ({ name, isPublic: isPublic(name) }));
    return { names, more, settledAtMs: this.#objects.settledAtMs };
  }

  async addShard(name: string): Promise<void> {
    this.change((tx) => this.#objects.addShard(tx, name));
  }

  async shards(): Promise<string[]> {
    return this.#objects.shards();
  }

  async noteLaterData(kind: StoredClass, object: string, version: number): Promise<void> {
    this.change((tx) => this.#laterData.add(tx, kind, object, version));
  }

  async laterData(): Promise<LaterData[]> {
    return this.#laterData.count();
  }

  async tagPulls(repository: RepositoryName, limit: number): Promise<TagPulls[]> {
    return this.#repositories.tagPulls(repository, limit);
  }

  // ── Policies ─────────────────────────────────────────────────────────────────────────────────────────────────

  async policies(): Promise<StoredPolicies | undefined> {
    return this.#policies.read();
  }

  async putPolicies(
    rules: Rules,
    expected: number | undefined,
    actor: string,
  ): Promise<Result<{ policies: StoredPolicies }>> {
    const now = this.clock.now();
    const put = this.change((tx) => {
      const stored = this.#policies.put(tx, rules, { expected, actor }, now);
      if (stored !== undefined) scheduleArming(tx, this.#due, stored, now);
      return stored;
    });
    this.#due.arm();
    return put === undefined ? failure("POLICIES_CHANGED") : { ok: true, policies: put };
  }

  async putWaitingRun(repository: RepositoryName, waiting: WaitingRun | undefined): Promise<void> {
    this.change((tx) => this.#policies.putWaiting(tx, repository, waiting));
  }

  async waitingRuns(last: string, limit: number): Promise<Page<ListedRun>> {
    return this.#policies.waiting(last, limit);
  }

  // ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────────

  async addCounts(report: Report, now: number): Promise<void> {
    this.change((tx) => {
      if (this.#metrics.add(tx, report, now)) this.#repositories.addPulls(tx, report.pulls, now);
    });
  }

  async putBacklog(repository: RepositoryName, backlog: Backlog): Promise<void> {
    this.change((tx) => this.#metrics.putBacklog(tx, repository, backlog, this.clock.now()));
  }

  async openUploads(limit: number): Promise<string[]> {
    return this.#metrics.openUploadIds(this.#openSince(), limit);
  }

  /** Uploads that were last reported before this time are no longer open. */
  #openSince(): number {
    return this.clock.now() - this.settings.uploadTtlMs;
  }

  async counts(): Promise<Sample[]> {
    return [
      ...this.#metrics.counters(),
      ...this.#metrics.backlogs(this.clock.now()),
      { family: "stowage_uploads_open", labels: [], value: this.#metrics.openUploads(this.#openSince()) },
      { family: "stowage_repositories", labels: [], value: this.#repositories.count() },
      {
        family: "stowage_retention_waiting_seconds",
        labels: [],
        value: this.#policies.longestWait(this.clock.now()) / second,
      },
      ...this.#repositories.mostPulled(maxPulledRepositories).map(
        ({ name, pulls }): Sample => ({
          family: "stowage_manifest_pulls_total",
          labels: [name],
          value: pulls,
        }),
      ),
    ];
  }
}
