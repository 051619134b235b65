/**
 * The ledger of one repository: what decides which manifests, tags, referrers and blob links there are.
 *
 * One object, one writer: every change is one transaction, which also marks in the outbox what KV must learn. The
 * object's SQL is in repository/; this file is the list of its transactions.
 */
import { DurableObject } from "cloudflare:workers";
import { type Clock, type Env, parseSettings, type Settings, systemClock } from "../env.ts";
import type { Digest } from "../oci/digest.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName, Tag } from "../oci/name.ts";
import type { ReplicaKey } from "../storage/keys.ts";
import { type BlobLocation, type ManifestRow, Replica, type ReplicaValue } from "../storage/replica.ts";
import type {
  LinkOutcome,
  LinkRequest,
  ManifestPut,
  ManifestStat,
  Page,
  Referrer,
  RepositoryApi,
  ResolvedTag,
  SessionState,
} from "./api.ts";
import { type DueRow, DueTable } from "./due.ts";
import { BlobLinkStore } from "./repository/blob-link-store.ts";
import { ManifestStore } from "./repository/manifest-store.ts";
import { Outbox, outboxJob } from "./repository/outbox.ts";
import { createSchema, hasSchema, readName } from "./repository/schema.ts";
import { TagStore } from "./repository/tag-store.ts";
import { catalogStub, shardStub } from "./stubs.ts";

/** The ledger; see {@link RepositoryApi} for what each method promises. */
export class Repository extends DurableObject<Env> implements RepositoryApi {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #due: DueTable;
  readonly #outbox: Outbox;
  readonly #manifests: ManifestStore;
  readonly #tags: TagStore;
  readonly #blobs: BlobLinkStore;
  #exists: boolean;

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
      (key) => this.#replicaValue(key),
    );
    this.#exists = hasSchema(sql);
    if (this.#exists) this.#due.arm();
  }

  // ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────

  async locateBlob(digest: Digest, renew: boolean): Promise<BlobLocation | undefined> {
    if (!this.#exists) return undefined;
    const link = this.#blobs.read(digest);
    if (link === undefined) return undefined;
    const now = this.#clock.now();
    if (renew && now > link.renewedAtMs + this.#settings.gcGraceMs / 2) this.#blobs.renew([digest], now);
    return { digest: link.digest, key: link.key, sizeBytes: link.sizeBytes };
  }

  async linkBlob({ repository, adoption, session }: LinkRequest): Promise<LinkOutcome> {
    return this.#change(repository, () => {
      const now = this.#clock.now();
      if (now >= adoption.leaseUntil) return "lease-ended";
      if (session !== undefined && !this.#closeSession(session, adoption.digest, now)) return "session-closed";
      const known = this.#blobs.read(adoption.digest);
      this.#blobs.write(adoption, now);
      if (known === undefined) this.#due.set("unlink", adoption.digest, now + this.#settings.gcGraceMs);
      this.#markLocation(adoption.digest, known?.key !== adoption.key);
      return "linked";
    });
  }

  async relocateBlob(location: BlobLocation): Promise<void> {
    if (!this.#exists) return;
    this.#change(readName(this.ctx.storage.sql), () => {
      const link = this.#blobs.read(location.digest);
      if (link === undefined) return;
      this.#blobs.write(location, link.renewedAtMs);
      this.#markLocation(location.digest, true);
    });
  }

  async deleteBlob(digest: Digest): Promise<Result> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return this.#change(readName(this.ctx.storage.sql), (): Result => {
      if (this.#blobs.read(digest) === undefined) return failure("BLOB_UNKNOWN", { digest });
      if (this.#manifests.isReferenced(digest)) {
        return failure("BLOB_REFERENCED", { digest, manifests: this.#manifests.referencing(digest).slice(0, 10) });
      }
      this.#unlink(digest);
      return { ok: true };
    });
  }

  async holds(digests: string[]): Promise<string[]> {
    return this.#exists ? this.#blobs.held(digests) : [];
  }

  // ── Upload sessions ──────────────────────────────────────────────────────────────────────────────────────────

  async sessionState(session: string): Promise<SessionState> {
    return this.#exists ? this.#blobs.sessionState(session) : { state: "open" };
  }

  async cancelSession(repository: RepositoryName, session: string): Promise<void> {
    this.#change(repository, () => {
      this.#closeSession(session, null, this.#clock.now());
    });
  }

  /** Ends a session with this outcome. False when it has ended with another one before. */
  #closeSession(session: string, digest: string | null, now: number): boolean {
    const state = this.#blobs.sessionState(session);
    if (state.state === "finished") return state.digest === digest;
    if (state.state === "cancelled") return digest === null;
    this.#blobs.closeSession(session, digest);
    this.#due.set("forget-session", session, now + this.#settings.uploadTtlMs);
    return true;
  }

  // ── Manifests, tags, referrers ───────────────────────────────────────────────────────────────────────────────

  async putManifest(put: ManifestPut): Promise<Result> {
    const { repository, digest, facts } = put;
    return this.#change(repository, (): Result => {
      const missing = put.sparse ? [] : this.#missing(put);
      if (missing.length > 0) return failure("MANIFEST_BLOB_UNKNOWN", missing.map((digest) => ({ digest })));
      const now = this.#clock.now();
      const names = facts.references.map((reference) => reference.digest);
      const linkedLately = this.#blobs.takeUnreplicated(names);
      for (const blob of linkedLately) this.#outbox.mark({ kind: "blob", digest: blob });
      const isKnown = this.#manifests.stat(digest)?.mediaType === facts.mediaType;
      if (!isKnown) this.#manifests.write(digest, put.bytes, facts, now);
      if (!isKnown || linkedLately.length > 0) this.#outbox.mark({ kind: "manifest", digest });
      for (const tag of put.tags) this.#moveTag(tag, digest, put.actor, now);
      return { ok: true };
    });
  }

  #missing({ digest, facts }: ManifestPut): string[] {
    // A manifest that is here already has passed this check, and what it references is kept.
    return this.#manifests.has(digest) ? [] : this.#manifests.missing(facts.references);
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
    return this.#change(readName(this.ctx.storage.sql), (): Result<{ tags: string[] }> => {
      if (!this.#manifests.has(digest)) return failure("MANIFEST_UNKNOWN", { digest });
      const now = this.#clock.now();
      const tags = this.#tags.pointingAt(digest);
      for (const tag of tags) this.#moveTag(tag, undefined, actor, now);
      const references = this.#manifests.delete(digest);
      const freed = this.#blobs.held(references).filter((blob) => !this.#manifests.isReferenced(blob));
      this.#blobs.renew(freed, now);
      for (const blob of freed) this.#due.set("unlink", blob, now + this.#settings.gcGraceMs);
      this.#outbox.mark({ kind: "manifest", digest });
      return { ok: true, tags };
    });
  }

  async deleteTag(tag: Tag, actor: string): Promise<Result> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return this.#change(readName(this.ctx.storage.sql), (): Result => {
      const isDeleted = this.#moveTag(tag, undefined, actor, this.#clock.now());
      return isDeleted ? { ok: true } : failure("MANIFEST_UNKNOWN", { tag });
    });
  }

  #moveTag(tag: string, digest: Digest | undefined, actor: string, now: number): boolean {
    const isMoved = this.#tags.move(tag, digest, actor, now);
    if (isMoved) this.#outbox.mark({ kind: "tag", tag });
    return isMoved;
  }

  async listTags(last: string, limit: number): Promise<Result<{ page: Page<string> }>> {
    if (!this.#exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: this.#tags.page(last, limit) };
  }

  async listReferrers(
    subject: Digest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): Promise<Page<Referrer>> {
    if (!this.#exists) return { entries: [], more: false };
    return this.#manifests.referrers(subject, artifactType, last, limit);
  }

  // ── What happens later ───────────────────────────────────────────────────────────────────────────────────────

  override async alarm(): Promise<void> {
    if (!this.#exists) return;
    const name = readName(this.ctx.storage.sql);
    await this.#due.run({
      [outboxJob]: () => this.#outbox.flush(name),
      announce: () => this.#announce(name),
      unlink: async (rows) => this.#unlinkUnused(rows),
      release: (rows) => this.#release(name, rows),
      "forget-session": async (rows) => {
        this.#blobs.forgetSessions(rows.map((row) => row.id));
        for (const { id } of rows) this.#due.clear("forget-session", id);
      },
    });
  }

  async #announce(name: RepositoryName): Promise<void> {
    await catalogStub(this.env).addRepository(name);
    this.#due.clear("announce", "");
  }

  /** Unlinks blobs that no manifest references and nobody asked about for the grace time. */
  #unlinkUnused(rows: DueRow[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const { id: digest } of rows) {
        const link = this.#blobs.read(digest);
        const keepUntil = (link?.renewedAtMs ?? 0) + this.#settings.gcGraceMs;
        if (link === undefined || this.#manifests.isReferenced(digest)) this.#due.clear("unlink", digest);
        else if (keepUntil > this.#clock.now()) this.#due.set("unlink", digest, keepUntil);
        else this.#unlink(digest);
      }
    });
  }

  #unlink(digest: string): void {
    this.#blobs.delete(digest);
    this.#due.clear("unlink", digest);
    this.#outbox.mark({ kind: "blob", digest });
    this.#due.set("release", digest, this.#clock.now());
  }

  /** Tells the shards what this repository holds no longer. They ask again before they drop anything. */
  async #release(name: RepositoryName, rows: DueRow[]): Promise<void> {
    const byShard = Map.groupBy(rows, (row) => row.id.slice(row.id.indexOf(":") + 1).slice(0, 2));
    for (const group of byShard.values()) {
      const digests = group.map((row) => row.id as Digest);
      const [first] = digests;
      if (first !== undefined) await shardStub(this.env, first).release(name, digests);
      for (const digest of digests) this.#due.clear("release", digest);
    }
  }

  // ── Within ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs one transaction, making the ledger if there is none, and starts what it left to be done. */
  #change<T>(repository: RepositoryName, transaction: () => T): T {
    const { storage } = this.ctx;
    const isNew = !this.#exists;
    const result = storage.transactionSync(() => {
      if (isNew) {
        createSchema(storage.sql, repository);
        this.#due.set("announce", "", this.#clock.now());
      }
      return transaction();
    });
    this.#exists = true;
    this.#due.arm();
    this.ctx.waitUntil(this.#outbox.flush(repository).then(() => this.#due.arm()));
    if (isNew) this.ctx.waitUntil(this.#announce(repository).catch(() => {}));
    return result;
  }

  /** Marks what tells KV where a blob is: its own row, and the pull plans of the manifests that name it. */
  #markLocation(digest: string, hasMoved: boolean): void {
    const manifests = this.#manifests.referencing(digest);
    const isNewToKv = manifests.length > 0 && this.#blobs.takeUnreplicated([digest]).length > 0;
    if (!isNewToKv && !(hasMoved && this.#blobs.read(digest)?.isReplicated)) return;
    this.#outbox.mark({ kind: "blob", digest });
    for (const manifest of manifests) this.#outbox.mark({ kind: "manifest", digest: manifest });
  }

  #replicaValue(key: ReplicaKey): ReplicaValue | undefined {
    switch (key.kind) {
      case "manifest": {
        const row = this.#manifests.read(key.digest);
        return row && { kind: "manifest", row };
      }
      case "tag": {
        const row = this.#tags.read(key.tag);
        return row && { kind: "tag", row };
      }
      case "blob": {
        const link = this.#blobs.read(key.digest);
        return (
          link && { kind: "blob", row: { digest: link.digest, key: link.key, sizeBytes: link.sizeBytes } }
        );
      }
    }
  }
}
