/**
 * The catalog, one per registry: accounts, tokens, signing keys, the audit log, and the list of repositories, which is
 * derived from the ledgers. It is small and rarely written, and the edge caches what it needs. Each part is in a file
 * of its own in catalog/.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Report, Sample } from "../metrics/meter.ts";
import type { AuditKind } from "../oci/audit.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Rules, StoredPolicies } from "../policy/document.ts";
import type {
  Account,
  AccountPut,
  Backlog,
  CatalogApi,
  KeptAuditEntry,
  ListedRepository,
  NewAuditEntry,
  Page,
  PasswordHash,
  RepositoryInfo,
  SigningKey,
  TagPulls,
  TokenPut,
  TokenRecord,
} from "../rpc/api.ts";
import type { KnownName } from "../rpc/name-index-api.ts";
import type { ListedRun, WaitingRun } from "../rpc/policies-api.ts";
import { scrubJob } from "../rpc/scrub-report.ts";
import { type Stores, scrubStores } from "../rpc/scrub-stores.ts";
import { type Settings, settingsOf } from "../settings/settings.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { openReplica } from "../storage/replica.ts";
import { second } from "../units.ts";
import { Accounts } from "./catalog/accounts.ts";
import { armingJob, runArming, scheduleArming } from "./catalog/arming.ts";
import { AuditLog } from "./catalog/audit-log.ts";
import { Keys } from "./catalog/keys.ts";
import { KnownObjects } from "./catalog/known-objects.ts";
import { Metrics } from "./catalog/metrics.ts";
import { Policies } from "./catalog/policies.ts";
import { RepositoryList } from "./catalog/repository-list.ts";
import { catalogSchema } from "./catalog/schema.ts";
import { type DueRow, DueTable } from "./due.ts";
import { applySchema } from "./schema.ts";
import { runScrub, scheduleScrub } from "./scrub/schedule.ts";
import { type Tx, transaction } from "./sql.ts";

/** For how many repositories the metrics show pulls. */
const maxPulledRepositories = 1000;

/** The catalog; see {@link CatalogApi} for what each method does. */
export class Catalog extends DurableObject<Env> implements CatalogApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #accounts: Accounts;
  readonly #keys: Keys;
  readonly #audit: AuditLog;
  readonly #repositories: RepositoryList;
  readonly #metrics: Metrics;
  readonly #policies: Policies;
  readonly #objects: KnownObjects;
  readonly #due: DueTable;
  readonly #stores: Stores;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    const { storage } = ctx;
    this.#clock = clock;
    const settings = settingsOf(env);
    this.#settings = settings;
    this.#accounts = new Accounts(storage.sql);
    this.#keys = new Keys(storage, clock, settings.refreshTtlMs);
    this.#audit = new AuditLog(storage.sql);
    this.#repositories = new RepositoryList(storage.sql);
    this.#metrics = new Metrics(storage.sql);
    this.#policies = new Policies(storage.sql);
    this.#objects = new KnownObjects(storage.sql);
    this.#due = new DueTable(storage, clock);
    this.#stores = { objects: env, bucket: openBucket(env), replica: openReplica(env), settings };
    this.#change((tx) => {
      const isTakeover = KnownObjects.isOfEarlierRelease(tx.sql);
      applySchema(tx, catalogSchema);
      if (isTakeover) this.#objects.takeOver(tx, clock.now());
      scheduleScrub(tx, { due: this.#due, clock, settings });
    });
    void this.#due.wake();
  }

  /** Tells ledgers of new policies; scrubs the bucket and the replica periodically. */
  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const shared = { env: this.env, storage: this.ctx.storage, clock: this.#clock, due: this.#due };
    const scrubbed = { ...shared, settings: this.#settings };
    const scrub = (after: string) => scrubStores(this.#stores, after, this.#clock.now());
    const walked = { ...shared, policies: this.#policies, repositories: this.#repositories };
    const jobs = {
      [armingJob]: (rows: DueRow[]) => runArming(walked, rows, this.#clock.now()),
      [scrubJob]: (rows: DueRow[]) => runScrub(scrubbed, rows, scrub),
    };
    await this.#due.runAlarm(jobs, invocation);
  }

  #change<T>(work: (tx: Tx) => T): T {
    return transaction(this.ctx.storage, work);
  }

  // ── Repositories ─────────────────────────────────────────────────────────────────────────────────────────────

  async putRepository(
    info: RepositoryInfo,
    usedDay: number | undefined,
    keepsDeleted: boolean,
  ): Promise<void> {
    this.#change((tx) => {
      this.#repositories.put(tx, info, usedDay);
      this.#repositories.noteDeleted(tx, info.name, keepsDeleted);
    });
  }

  async removeRepository(repository: RepositoryName, keepsDeleted: boolean): Promise<void> {
    this.#change((tx) => {
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
    this.#change((tx) => this.#objects.addShard(tx, name));
  }

  async shards(): Promise<string[]> {
    return this.#objects.shards();
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
    const now = this.#clock.now();
    const put = this.#change((tx) => {
      const stored = this.#policies.put(tx, rules, { expected, actor }, now);
      if (stored !== undefined) scheduleArming(tx, this.#due, stored, now);
      return stored;
    });
    this.#due.arm();
    return put === undefined ? failure("POLICIES_CHANGED") : { ok: true, policies: put };
  }

  async putWaitingRun(repository: RepositoryName, waiting: WaitingRun | undefined): Promise<void> {
    this.#change((tx) => this.#policies.putWaiting(tx, repository, waiting));
  }

  async waitingRuns(last: string, limit: number): Promise<Page<ListedRun>> {
    return this.#policies.waiting(last, limit);
  }

  // ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────────

  async addCounts(report: Report, now: number): Promise<void> {
    this.#change((tx) => {
      if (this.#metrics.add(tx, report, now)) this.#repositories.addPulls(tx, report.pulls, now);
    });
  }

  async putBacklog(repository: RepositoryName, backlog: Backlog): Promise<void> {
    this.#change((tx) => this.#metrics.putBacklog(tx, repository, backlog, this.#clock.now()));
  }

  async openUploads(limit: number): Promise<string[]> {
    return this.#metrics.openUploadIds(this.#openSince(), limit);
  }

  /** Uploads that were last reported before this time are no longer open. */
  #openSince(): number {
    return this.#clock.now() - this.#settings.uploadTtlMs;
  }

  async counts(): Promise<Sample[]> {
    return [
      ...this.#metrics.counters(),
      ...this.#metrics.backlogs(this.#clock.now()),
      { family: "stowage_uploads_open", labels: [], value: this.#metrics.openUploads(this.#openSince()) },
      { family: "stowage_repositories", labels: [], value: this.#repositories.count() },
      {
        family: "stowage_retention_waiting_seconds",
        labels: [],
        value: this.#policies.longestWait(this.#clock.now()) / second,
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

  // ── Accounts and tokens ──────────────────────────────────────────────────────────────────────────────────────

  async account(name: string): Promise<Account | undefined> {
    return this.#accounts.account(name);
  }

  async listAccounts(last: string, limit: number): Promise<Page<Account>> {
    return this.#accounts.accounts(last, limit);
  }

  async accountNames(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#accounts.names().bytes;
  }

  async putAccount(account: AccountPut): Promise<{ account: Account; isNew: boolean }> {
    return this.#change((tx) => this.#accounts.put(tx, account, this.#clock.now()));
  }

  async changePassword(name: string, version: string, password: PasswordHash): Promise<Account | undefined> {
    return this.#change((tx) =>
      this.#accounts.changePassword(tx, name, version, password, this.#clock.now()),
    );
  }

  async deleteAccount(name: string): Promise<boolean> {
    return this.#change((tx) => this.#accounts.delete(tx, name));
  }

  async addToken(token: TokenPut): Promise<void> {
    this.#change((tx) => this.#accounts.addToken(tx, token));
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    return this.#accounts.token(id);
  }

  async tokenBySecret(secretHash: string, day: number): Promise<TokenRecord | undefined> {
    const token = this.#accounts.tokenBySecret(secretHash);
    if (token !== undefined && (token.lastUsedDay ?? 0) < day) {
      this.#change((tx) => this.#accounts.touchToken(tx, token.id, day));
    }
    return token;
  }

  async listTokens(account: string): Promise<TokenRecord[]> {
    return this.#accounts.tokens(account);
  }

  async deleteToken(account: string, id: string): Promise<boolean> {
    return this.#change((tx) => this.#accounts.deleteToken(tx, account, id));
  }

  // ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async sessionSecret(): Promise<Uint8Array> {
    return this.#keys.sessionSecret();
  }

  async signingKeys(): Promise<SigningKey[]> {
    return this.#keys.current();
  }

  async rotateSigningKey(): Promise<SigningKey[]> {
    return this.#keys.rotate();
  }

  // ── Audit ────────────────────────────────────────────────────────────────────────────────────────────────────

  async audit(entries: NewAuditEntry[]): Promise<void> {
    this.#change((tx) => this.#audit.add(tx, entries));
  }

  async listAudit(kind: AuditKind | undefined, before: number, limit: number): Promise<Page<KeptAuditEntry>> {
    return this.#audit.list(kind, before, limit);
  }
}
