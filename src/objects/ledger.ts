/**
 * The ledger of one repository: what decides which manifests, tags, referrers and blob links there are.
 *
 * One object, one writer: every change is one transaction, which also marks in the outbox what KV must learn. The
 * object's SQL is in repository/; this file is the list of its transactions.
 */
import type { AnyDigest, Digest } from "../oci/digest.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { RepositoryName, Tag } from "../oci/name.ts";
import type { ReplicaKey } from "../storage/keys.ts";
import type { BlobLocation, ManifestRow } from "../storage/replica.ts";
import type {
  LedgerApi,
  LinkOutcome,
  LinkRequest,
  ManifestEntry,
  ManifestPut,
  ManifestStat,
  Page,
  Referrer,
  RepositoryChange,
  RepositoryInfo,
  ResolvedTag,
  SessionState,
} from "./api.ts";
import type { NumberedLease } from "./blob-shard-api.ts";
import { announceJob, changeInfo } from "./ledger/announce.ts";
import { LedgerBase } from "./ledger/base.ts";
import { voidLeases } from "./ledger/leases.ts";
import {
  closeSession,
  link,
  markBlobRows,
  recordLink,
  removeBlob,
  removeEverything,
  renewIfOld,
} from "./ledger/links.ts";
import { removeManifest, removeTag, storeManifest } from "./ledger/manifests.ts";
import { rebuildLater } from "./ledger/rebuild.ts";
import { writeMeta } from "./ledger/schema.ts";
import { dropStrays, scrubLedger } from "./ledger/scrub.ts";
import { restoreManifest, restoreTag } from "./ledger/tag-history.ts";
import { renewUntagged } from "./ledger/untagged.ts";
import { listManifests, readUsage } from "./ledger/usage.ts";
import { emptyReport, type ScrubStep } from "./scrub/report.ts";
import type { RepositoryUsage, Restorable, TagMove, TagRestore } from "./upkeep.ts";

/** The ledger; see {@link LedgerApi} for what each method promises. */
export class Ledger extends LedgerBase implements LedgerApi {
  // ── The repository as a whole ────────────────────────────────────────────────────────────────────────────────

  async info(): Promise<RepositoryInfo | undefined> {
    if (this.meta === undefined || !this.exists) return undefined;
    const { name, visibility, description } = this.meta;
    return { name, visibility, description };
  }

  async setInfo(change: RepositoryChange, origin: Origin): Promise<RepositoryInfo | undefined> {
    if (this.meta === undefined || !this.exists) return undefined;
    const before = this.meta;
    this.change(undefined, (tx) => changeInfo(tx, this.parts, before, change, origin));
    await this.announce();
    return this.info();
  }

  async deleteRepository(origin: Origin): Promise<Result> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { name } = this.meta;
    this.change(undefined, (tx) => {
      writeMeta(tx, "deleting", "yes");
      removeEverything(tx, this.parts);
      this.parts.events.record(tx, "repository.delete", origin, {});
      this.parts.due.set(tx, announceJob, "", this.parts.clock.now());
    });
    console.log(JSON.stringify({ event: "repository deleted", repository: name, actor: origin.actor }));
    return { ok: true };
  }

  // ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────

  async locateBlob(digest: Digest, renew: boolean): Promise<BlobLocation | undefined> {
    if (!this.exists) return undefined;
    if (renew) {
      this.expectPush();
      renewIfOld(this.parts, digest);
    }
    return this.parts.blobs.location(digest);
  }

  async linkBlob({ repository, adoption, session, from, origin }: LinkRequest): Promise<LinkOutcome> {
    if (this.meta?.isDeleting) return "deleting";
    return this.change(repository, (tx) => {
      const now = this.parts.clock.now();
      if (now >= adoption.leaseUntil || this.parts.leases.isVoid(adoption)) return "lease-ended";
      if (session !== undefined && !closeSession(tx, this.parts, session, adoption.digest))
        return "session-closed";
      this.found(tx, origin);
      if (link(tx, this.parts, adoption, now)) recordLink(tx, this.parts, adoption, origin, from);
      return "linked";
    });
  }

  async relocateBlob(location: BlobLocation): Promise<void> {
    if (!this.exists) return;
    this.change(undefined, (tx) => {
      const known = this.parts.blobs.read(location.digest);
      if (known !== undefined) link(tx, this.parts, location, known.renewedAtMs);
    });
  }

  async repairReplica(key: ReplicaKey): Promise<void> {
    if (!this.exists) return;
    this.change(undefined, (tx) => {
      if (key.kind !== "blob") this.parts.outbox.mark(tx, key);
      else if (this.parts.blobs.read(key.digest)?.isReplicated === true)
        markBlobRows(tx, this.parts, key.digest);
    });
  }

  async deleteBlob(digest: Digest, origin: Origin): Promise<Result> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { name } = this.meta;
    return this.change(undefined, (tx) => removeBlob(tx, this.parts, name, digest, origin));
  }

  async holds(repository: RepositoryName, leases: NumberedLease[]): Promise<{ voided: string[] }> {
    const held = new Set(this.exists ? this.parts.blobs.held(leases.map(({ digest }) => digest)) : []);
    const unlinked = leases.filter(({ digest }) => !held.has(digest));
    if (unlinked.length > 0) this.change(repository, (tx) => voidLeases(tx, this.parts, unlinked));
    return { voided: unlinked.map(({ digest }) => digest) };
  }

  // ── Upload sessions ──────────────────────────────────────────────────────────────────────────────────────────

  async sessionState(session: string): Promise<SessionState> {
    this.expectPush();
    return this.meta === undefined ? { state: "open" } : this.parts.blobs.sessionState(session);
  }

  async cancelSession(repository: RepositoryName, session: string): Promise<void> {
    this.change(repository, (tx) => {
      closeSession(tx, this.parts, session, null);
    });
  }

  // ── Manifests, tags, referrers ───────────────────────────────────────────────────────────────────────────────

  async putManifest(put: ManifestPut): Promise<Result> {
    if (this.meta?.isDeleting) return failure("REPOSITORY_DELETING");
    return this.change(put.repository, (tx) => {
      return storeManifest(tx, this.parts, put, () => this.found(tx, put.origin));
    });
  }

  async manifest(digest: Digest): Promise<ManifestRow | undefined> {
    return this.exists ? this.parts.manifests.read(digest) : undefined;
  }

  async statManifest(digest: Digest): Promise<ManifestStat | undefined> {
    if (!this.exists) return undefined;
    renewUntagged(this.parts, digest);
    return this.parts.manifests.stat(digest);
  }

  async resolveTags(tags: Tag[]): Promise<(ResolvedTag | null)[]> {
    const resolved = this.exists ? this.parts.tags.resolve(tags) : new Map<string, ResolvedTag>();
    return tags.map((tag) => resolved.get(tag) ?? null);
  }

  async deleteManifest(digest: Digest, origin: Origin): Promise<Result<{ tags: string[] }>> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { name } = this.meta;
    return this.change(undefined, (tx) => removeManifest(tx, this.parts, name, digest, origin, "asked for"));
  }

  async deleteTag(tag: Tag, origin: Origin): Promise<Result> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { name } = this.meta;
    return this.change(undefined, (tx) => removeTag(tx, this.parts, name, tag, origin));
  }

  async listTags(last: string, limit: number): Promise<Result<{ page: Page<string> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: this.parts.tags.page(last, limit) };
  }

  async listManifests(last: string, limit: number): Promise<Result<{ page: Page<ManifestEntry> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: listManifests(this.sql, last, limit) };
  }

  async listReferrers(
    subject: AnyDigest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): Promise<Page<Referrer>> {
    if (!this.exists) return { entries: [], more: false };
    return this.parts.manifests.referrers(subject, artifactType, last, limit);
  }

  // ── History and undo ─────────────────────────────────────────────────────────────────────────────────────────

  async tagHistory(tag: Tag, before: number, limit: number): Promise<Result<{ page: Page<TagMove> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: this.parts.tags.history(tag, before, limit) };
  }

  async restoreTag(
    tag: Tag,
    wanted: TagRestore,
    origin: Origin,
  ): Promise<Result<{ digest: Digest; sequence: number }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => restoreTag(tx, this.parts, tag, wanted, origin));
  }

  async restoreManifest(digest: Digest, origin: Origin): Promise<Result<{ tags: string[] }>> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { name } = this.meta;
    return this.change(undefined, (tx) => restoreManifest(tx, this.parts, name, digest, origin));
  }

  async restorable(limit: number): Promise<Restorable> {
    return this.exists ? this.parts.trash.list(limit) : { count: 0, manifests: [] };
  }

  // ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────

  async usage(): Promise<RepositoryUsage | undefined> {
    return this.exists ? readUsage(this.sql) : undefined;
  }

  async rebuildReplica(): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => rebuildLater(tx, this.parts));
  }

  async scrub(after: string): Promise<ScrubStep> {
    if (this.meta === undefined || !this.exists) return { report: emptyReport(), next: undefined };
    return scrubLedger(this.env, this.parts, this.meta.name, after);
  }

  async dropStrayRows(repository: RepositoryName, keys: ReplicaKey[]): Promise<ReplicaKey[]> {
    return dropStrays(this.parts, this.meta !== undefined, repository, keys);
  }
}
