/**
 * The ledger of one repository: what decides which manifests, tags, referrers and blob links there are.
 *
 * One object, one writer: every change is one transaction, which also marks in the outbox what KV must learn. The
 * object's SQL is in repository/; this file is the list of its transactions.
 */
import { DurableObject } from "cloudflare:workers";
import { type Clock, type Env, parseSettings, type Settings, systemClock } from "../env.ts";
import type { AnyDigest, Digest } from "../oci/digest.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName, Tag } from "../oci/name.ts";
import { type BlobLocation, type ManifestRow, Replica } from "../storage/replica.ts";
import type {
  LinkOutcome,
  LinkRequest,
  ManifestPut,
  ManifestStat,
  Page,
  Referrer,
  RepositoryApi,
  RepositoryInfo,
  ResolvedTag,
  SessionState,
  Visibility,
} from "./api.ts";
import { DueTable } from "./due.ts";
import { BlobLinkStore } from "./repository/blob-link-store.ts";
import {
  type LedgerParts,
  link,
  markBlobRows,
  release,
  removeEverything,
  unlink,
  unlinkUnused,
} from "./repository/links.ts";
import { ManifestStore } from "./repository/manifest-store.ts";
import { moveTag, removeManifest, storeManifest } from "./repository/manifests.ts";
import { Outbox, outboxJob } from "./repository/outbox.ts";
import { replicaValue } from "./repository/replica-values.ts";
import { createSchema, type Meta, openSchema, readMeta, writeMeta } from "./repository/schema.ts";
import { TagStore } from "./repository/tag-store.ts";
import { catalogStub } from "./stubs.ts";

/** The ledger; see {@link RepositoryApi} for what each method promises. */
export class Repository extends DurableObject<Env> implements RepositoryApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #due: DueTable;
  readonly #outbox: Outbox;
  readonly #manifests: ManifestStore;
  readonly #tags: TagStore;
  readonly #blobs: BlobLinkStore;
  readonly #parts: LedgerParts;
  /** `undefined` until the first write. */
  #meta: Meta | undefined;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    const { sql } = ctx.storage;
    this.#clock = clock;
    this.#settings = parseSettings(env);
    this.#due = new DueTable(ctx.storage, clock);
    this.#manifests = new ManifestStore(sql);
    this.#tags = new TagStore(sql);
    this.#blobs = new BlobLinkStore(sql);
    this.#outbox = new Outbox(
      sql,
      this.#due,
      clock,
      new Replica(env.MANIFESTS),
      this.#settings.replicaRepeatMs,
      (key) => replicaValue({ manifests: this.#manifests, tags: this.#tags, blobs: this.#blobs }, key),
    );
    this.#parts = {
      sql,
      clock,
      due: this.#due,
      outbox: this.#outbox,
      blobs: this.#blobs,
      manifests: this.#manifests,
      tags: this.#tags,
      graceMs: this.#settings.gcGraceMs,
    };
    this.#meta = openSchema(sql);
    if (this.#meta !== undefined) this.#due.arm();
  }

  // ── The repository as a whole ────────────────────────────────────────────────────────────────────────────────

  get #exists(): boolean {
    return this.#meta?.isFounded === true && !this.#meta.isDeleting;
  }

  async info(): Promise<RepositoryInfo | undefined> {
    if (this.#meta === undefined || !this.#exists) return undefined;
    const { name, visibility, description } = this.#meta;
    return { name, visibility, description };
  }

  async setInfo(change: {
    visibility?: Visibility;
    description?: string;
  }): Promise<RepositoryInfo | undefined> {
    if (!this.#exists) return undefined;
    this.#change(undefined, () => {
      if (change.visibility !== undefined) writeMeta(this.#sql, "visibility", change.visibility);
      if (change.description !== undefined) writeMeta(this.#sql, "description", change.description);
      this.#due.set("announce", "", this.#clock.now());
    });
    await this.#announce();
    return this.info();
  }

  async deleteRepository(actor: string): Promise<Result> {
    if (this.#meta === undefined || !this.#exists) return failure("NAME_UNKNOWN");
    const { name } = this.#meta;
    this.#change(undefined, () => {
      writeMeta(this.#sql, "deleting", "yes");
      removeEverything(this.#parts);
      this.#due.set("announce", "", this.#clock.now());
    });
    console.log(JSON.stringify({ event: "repository deleted", repository: name, actor }));
    return { ok: true };
  }

  // ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────

  async locateBlob(digest: Digest, renew: boolean): Promise<BlobLocation | undefined> {
    if (!this.#exists) return undefined;
    const known = this.#blobs.read(digest);
    if (known === undefined) return undefined;
    const now = this.#clock.now();
    if (renew && now > known.renewedAtMs + this.#settings.gcGraceMs / 2) this.#blobs.renew([digest], now);
    return { digest: known.digest, key: known.key, sizeBytes: known.sizeBytes };
  }

  async linkBlob({ repository, adoption, session }: LinkRequest): Promise<LinkOutcome> {
    if (this.#meta?.isDeleting) return "deleting";
    return this.#change(repository, () => {
      const now = this.#clock.now();
      if (now >= adoption.leaseUntil) return "lease-ended";
      if (session !== undefined && !this.#closeSession(session, adoption.digest, now))
        return "session-closed";
      link(this.#parts, adoption, now);
      this.#found();
      return "linked";
    });
  }

  async relocateBlob(location: BlobLocation): Promise<void> {
    if (!this.#exists) return;
    this.#change(undefined, () => {
      const known = this.#blobs.read(location.digest);
      if (known !== undefined) link(this.#parts, location, known.renewedAtMs);
    });
  }

  async repairReplica(digest: Digest): Promise<void> {
    if (!this.#exists) return;
    this.#change(undefined, () => {
      if (this.#blobs.read(digest)?.isReplicated === true) markBlobRows(this.#parts, digest);
    });
  }

  async deleteBlob(digest: Digest): Promise<Result> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return this.#change(undefined, (): Result => {
      if (this.#blobs.read(digest) === undefined) return failure("BLOB_UNKNOWN", { digest });
      if (this.#manifests.isReferenced(digest)) {
        return failure("BLOB_REFERENCED", {
          digest,
          manifests: this.#manifests.referencing(digest).slice(0, 10),
        });
      }
      unlink(this.#parts, digest);
      return { ok: true };
    });
  }

  async holds(digests: string[]): Promise<string[]> {
    return this.#exists ? this.#blobs.held(digests) : [];
  }

  // ── Upload sessions ──────────────────────────────────────────────────────────────────────────────────────────

  async sessionState(session: string): Promise<SessionState> {
    return this.#meta === undefined ? { state: "open" } : this.#blobs.sessionState(session);
  }

  async cancelSession(repository: RepositoryName, session: string): Promise<void> {
    this.#change(repository, () => {
      this.#closeSession(session, null, this.#clock.now());
    });
  }

  #closeSession(session: string, digest: string | null, now: number): boolean {
    this.#due.set("forget-session", session, now + this.#settings.uploadTtlMs);
    return this.#blobs.closeSession(session, digest);
  }

  // ── Manifests, tags, referrers ───────────────────────────────────────────────────────────────────────────────

  async putManifest(put: ManifestPut): Promise<Result> {
    if (this.#meta?.isDeleting) return failure("REPOSITORY_DELETING");
    return this.#change(put.repository, () => {
      const stored = storeManifest(this.#parts, put);
      if (stored.ok) this.#found();
      return stored;
    });
  }

  async manifest(digest: Digest): Promise<ManifestRow | undefined> {
    return this.#exists ? this.#manifests.read(digest) : undefined;
  }

  async statManifest(digest: Digest): Promise<ManifestStat | undefined> {
    return this.#exists ? this.#manifests.stat(digest) : undefined;
  }

  async resolveTags(tags: Tag[]): Promise<(ResolvedTag | null)[]> {
    const resolved = this.#exists ? this.#tags.resolve(tags) : new Map<string, ResolvedTag>();
    return tags.map((tag) => resolved.get(tag) ?? null);
  }

  async deleteManifest(digest: Digest, actor: string): Promise<Result<{ tags: string[] }>> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return this.#change(undefined, () => removeManifest(this.#parts, digest, actor));
  }

  async deleteTag(tag: Tag, actor: string): Promise<Result> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return this.#change(undefined, (): Result => {
      const isDeleted = moveTag(this.#parts, tag, undefined, actor);
      return isDeleted ? { ok: true } : failure("MANIFEST_UNKNOWN", { tag });
    });
  }

  async listTags(last: string, limit: number): Promise<Result<{ page: Page<string> }>> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: this.#tags.page(last, limit) };
  }

  async listReferrers(
    subject: AnyDigest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): Promise<Page<Referrer>> {
    if (!this.#exists) return { entries: [], more: false };
    return this.#manifests.referrers(subject, artifactType, last, limit);
  }

  // ── What happens later ───────────────────────────────────────────────────────────────────────────────────────

  override async alarm(): Promise<void> {
    if (this.#meta === undefined) return;
    const { name } = this.#meta;
    await this.#due.run({
      [outboxJob]: () => this.#outbox.flush(name),
      announce: () => this.#announce(),
      unlink: async (rows) => this.ctx.storage.transactionSync(() => unlinkUnused(this.#parts, rows)),
      release: (rows) => release(this.env, this.#parts, name, rows),
      "forget-session": async (rows) => {
        this.#blobs.forgetSessions(rows.map((row) => row.id));
        for (const { id } of rows) this.#due.clear("forget-session", id);
      },
    });
    if (this.#meta.isDeleting) await this.#forgetIfDrained();
  }

  /** Tells the catalog what there is to list. */
  async #announce(): Promise<void> {
    if (this.#meta === undefined) return;
    const { name, visibility, description, isDeleting } = this.#meta;
    const catalog = catalogStub(this.env);
    await (isDeleting
      ? catalog.removeRepository(name)
      : catalog.putRepository({ name, visibility, description }));
    // What changed while the catalog was told is told again.
    if (this.#meta.isDeleting === isDeleting) this.#due.clear("announce", "");
  }

  /** Once KV, the shards and the catalog know that a repository is deleted, its name is free again. */
  async #forgetIfDrained(): Promise<void> {
    const [next] = this.#sql
      .exec("SELECT 1 FROM due WHERE kind IN ('release', 'announce') LIMIT 1")
      .toArray();
    if (next !== undefined || !this.#outbox.isEmpty()) return;
    this.#meta = undefined;
    await this.ctx.storage.deleteAll();
  }

  // ── Within ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs one transaction, and starts what it left to be done. With a name it makes the ledger if there is none;
   * without, there must be one.
   */
  #change<T>(repository: RepositoryName | undefined, transaction: () => T): T {
    const existed = this.#exists;
    const result = this.ctx.storage.transactionSync(() => {
      if (this.#meta === undefined && repository !== undefined) createSchema(this.#sql, repository);
      return transaction();
    });
    const meta = readMeta(this.#sql);
    this.#meta = meta;
    this.#due.arm();
    this.ctx.waitUntil(this.#outbox.flush(meta.name).then(() => this.#due.arm()));
    if (this.#exists && !existed) this.ctx.waitUntil(this.#announce().catch(() => {}));
    return result;
  }

  /** With the first blob or manifest the repository exists, and the catalog hears of it. */
  #found(): void {
    if (this.#exists) return;
    writeMeta(this.#sql, "founded", "yes");
    this.#due.set("announce", "", this.#clock.now());
  }

  get #sql(): SqlStorage {
    return this.ctx.storage.sql;
  }
}
