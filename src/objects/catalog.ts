/**
 * What there is one of in a registry: accounts, tokens, signing keys, and the list of repositories, which is derived
 * from the ledgers. Small and rarely written; the edge keeps what it needs of it.
 */
import { DurableObject } from "cloudflare:workers";
import { exportJWK, generateKeyPair } from "jose";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Report, Sample } from "../metrics/meter.ts";
import type { AuditKind } from "../oci/audit.ts";
import type { RepositoryName } from "../oci/name.ts";
import { parseSettings } from "../settings/settings.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { openReplica } from "../storage/replica.ts";
import type {
  Account,
  AccountPut,
  Backlog,
  CatalogApi,
  KeptAuditEntry,
  ListedRepository,
  NewAuditEntry,
  Page,
  RepositoryInfo,
  SigningKey,
  TagPulls,
  TokenPut,
  TokenRecord,
} from "./api.ts";
import { AccountStore } from "./catalog/account-store.ts";
import { AuditStore } from "./catalog/audit-store.ts";
import { CountStore } from "./catalog/count-store.ts";
import { catalogSchema } from "./catalog/schema.ts";
import { type DueJob, DueTable } from "./due.ts";
import { applySchema } from "./schema.ts";
import { scrubStores } from "./scrub/orphans.ts";
import { scrubJob } from "./scrub/report.ts";
import { transaction } from "./sql.ts";

const dayMs = 24 * 3600 * 1000;

/** How long a key signs. */
const signingMs = 30 * dayMs;

/** Of how many repositories the pulls are among the counts. */
const maxPulledRepositories = 1000;

const listedColumns = "name, visibility, description, pulls, last_pulled_at AS lastPulledAtMs";

/** The catalog; see {@link CatalogApi} for what each method does. */
export class Catalog extends DurableObject<Env> implements CatalogApi {
  readonly #sql: SqlStorage;
  readonly #clock: Clock;
  readonly #accounts: AccountStore;
  readonly #audit: AuditStore;
  readonly #counts: CountStore;
  readonly #due: DueTable;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#clock = clock;
    transaction(ctx.storage, (tx) => applySchema(tx, catalogSchema));
    this.#accounts = new AccountStore(this.#sql);
    this.#audit = new AuditStore(this.#sql);
    this.#counts = new CountStore(this.#sql);
    this.#due = new DueTable(ctx.storage, clock);
    transaction(ctx.storage, (tx) => this.#due.scrubLater(tx, parseSettings(env).scrubEveryMs));
    void this.#due.wake();
  }

  /** Looks, now and then, for what is in the stores and nobody knows. */
  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const settings = parseSettings(this.env);
    const { scrubEveryMs } = settings;
    const [bucket, replica] = [openBucket(this.env), openReplica(this.env)];
    const stores = { objects: this.env, bucket, replica, settings };
    const jobs: Record<string, DueJob> = {
      [scrubJob]: (rows) =>
        this.#due.scrub(rows, scrubEveryMs, (after) => scrubStores(stores, after, this.#clock.now())),
    };
    await this.#due.runAlarm(jobs, invocation);
  }

  async sessionSecret(): Promise<Uint8Array> {
    const fresh = crypto.getRandomValues(new Uint8Array(32));
    this.#sql.exec("INSERT OR IGNORE INTO secrets (name, value) VALUES ('session', ?)", fresh);
    const row = this.#sql
      .exec<{ value: ArrayBuffer }>("SELECT value FROM secrets WHERE name = 'session'")
      .one();
    return new Uint8Array(row.value);
  }

  // ── Repositories ─────────────────────────────────────────────────────────────────────────────────────────────

  async putRepository({ name, visibility, description }: RepositoryInfo): Promise<void> {
    this.#sql.exec(
      `INSERT INTO repositories (name, visibility, description) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET visibility = excluded.visibility, description = excluded.description`,
      name,
      visibility,
      description,
    );
  }

  async removeRepository(repository: RepositoryName): Promise<void> {
    this.#sql.exec("DELETE FROM repositories WHERE name = ?", repository);
    this.#counts.forget(repository);
  }

  async listRepositories(query: string, last: string, limit: number): Promise<Page<ListedRepository>> {
    const rows = this.#sql
      .exec<ListedRepository>(
        `SELECT ${listedColumns} FROM repositories
         WHERE name > ? AND (? = '' OR instr(name, ?) > 0 OR instr(lower(description), ?) > 0)
         ORDER BY name LIMIT ?`,
        last,
        query,
        query,
        query,
        limit + 1,
      )
      .toArray();
    return { entries: rows.slice(0, limit), more: rows.length > limit };
  }

  async repository(name: RepositoryName): Promise<ListedRepository | undefined> {
    return this.#sql
      .exec<ListedRepository>(`SELECT ${listedColumns} FROM repositories WHERE name = ?`, name)
      .toArray()[0];
  }

  // ── Counts ───────────────────────────────────────────────────────────────────────────────────────────────────

  async addCounts(report: Report, now: number): Promise<void> {
    transaction(this.ctx.storage, () => this.#counts.add(report, now));
  }

  async putBacklog(repository: RepositoryName, backlog: Backlog): Promise<void> {
    transaction(this.ctx.storage, () => this.#counts.putBacklog(repository, backlog, this.#clock.now()));
  }

  async openUploads(limit: number): Promise<string[]> {
    return this.#counts.openUploadIds(this.#openSince(), limit);
  }

  /** Uploads that were not heard of since then are open no more. */
  #openSince(): number {
    return this.#clock.now() - parseSettings(this.env).uploadTtlMs;
  }

  async counts(): Promise<Sample[]> {
    const { count, mostPulled } = this.#counts.repositories(maxPulledRepositories);
    const now = this.#clock.now();
    const openSince = this.#openSince();
    return [
      ...this.#counts.counters(),
      ...this.#counts.backlogs(now),
      { family: "stowage_uploads_open", labels: [], value: this.#counts.openUploads(openSince) },
      { family: "stowage_repositories", labels: [], value: count },
      ...mostPulled.map(
        ({ name, pulls }): Sample => ({
          family: "stowage_manifest_pulls_total",
          labels: [name],
          value: pulls,
        }),
      ),
    ];
  }

  async tagPulls(repository: RepositoryName, limit: number): Promise<TagPulls[]> {
    return this.#counts.tagPulls(repository, limit);
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

  async putAccount(account: AccountPut): Promise<boolean> {
    return transaction(this.ctx.storage, () => this.#accounts.put(account, this.#clock.now()));
  }

  async deleteAccount(name: string): Promise<boolean> {
    return transaction(this.ctx.storage, () => this.#accounts.delete(name));
  }

  async addToken(token: TokenPut): Promise<void> {
    this.#accounts.addToken(token);
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    return this.#accounts.token(id);
  }

  async tokenBySecret(secretHash: string, day: number): Promise<TokenRecord | undefined> {
    const token = this.#accounts.tokenBySecret(secretHash);
    if (token !== undefined) this.#accounts.touchToken(token.id, day);
    return token;
  }

  async listTokens(account: string): Promise<TokenRecord[]> {
    return this.#accounts.tokens(account);
  }

  async deleteToken(account: string, id: string): Promise<boolean> {
    return this.#accounts.deleteToken(account, id);
  }

  // ── Signing keys ─────────────────────────────────────────────────────────────────────────────────────────────

  async signingKeys(): Promise<SigningKey[]> {
    const newest = this.#newestKeyAt();
    if (newest === undefined || newest + signingMs < this.#clock.now()) return this.rotateSigningKey();
    return this.#keys();
  }

  async rotateSigningKey(): Promise<SigningKey[]> {
    const before = this.#newestKeyAt();
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const [privateJwk, publicJwk] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)]);
    // Another call may have made one while this one was being made; one is enough.
    if (this.#newestKeyAt() === before) {
      const now = this.#clock.now();
      const kid = crypto.randomUUID();
      const shared = { kid, alg: "EdDSA", use: "sig" };
      this.#sql.exec(
        "INSERT INTO signing_keys (kid, private_jwk, public_jwk, created_at) VALUES (?, ?, ?, ?)",
        kid,
        JSON.stringify({ ...privateJwk, ...shared }),
        JSON.stringify({ ...publicJwk, ...shared }),
        Math.max(now, (before ?? 0) + 1),
      );
      // A key verifies for as long as anything lives that it may have signed.
      const verifyingMs = signingMs + parseSettings(this.env).refreshTtlMs + dayMs;
      this.#sql.exec("DELETE FROM signing_keys WHERE created_at < ?", now - verifyingMs);
    }
    return this.#keys();
  }

  #newestKeyAt(): number | undefined {
    return (
      this.#sql.exec<{ at: number | null }>("SELECT max(created_at) AS at FROM signing_keys").one().at ??
      undefined
    );
  }

  #keys(): SigningKey[] {
    return this.#sql
      .exec<{ kid: string; private_jwk: string; public_jwk: string }>(
        "SELECT kid, private_jwk, public_jwk FROM signing_keys ORDER BY created_at DESC",
      )
      .toArray()
      .map((row) => ({
        kid: row.kid,
        privateJwk: JSON.parse(row.private_jwk),
        publicJwk: JSON.parse(row.public_jwk),
      }));
  }

  // ── Audit ────────────────────────────────────────────────────────────────────────────────────────────────────

  async audit(entries: NewAuditEntry[]): Promise<void> {
    transaction(this.ctx.storage, () => this.#audit.add(entries));
  }

  async listAudit(kind: AuditKind | undefined, before: number, limit: number): Promise<Page<KeptAuditEntry>> {
    return this.#audit.list(kind, before, limit);
  }
}
