/**
 * The ledger of one repository: the authority on its manifests, tags, referrers and blob links.
 *
 * One object is the only writer. Every change is one transaction, which also marks the changed replica rows in the
 * outbox. The object's features are in ledger/ (parts.ts lists them); this file is the list of its transactions.
 */

import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Precondition } from "../oci/preconditions.ts";
import type { AnyDigest, Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { AppliedPolicy } from "../policy/document.ts";
import type {
  LedgerApi,
  ManifestStat,
  Page,
  Referrer,
  RepositoryChange,
  RepositoryInfo,
  ResolvedTag,
  SessionState,
} from "../rpc/api.ts";
import type { NumberedLease } from "../rpc/blob-shard-api.ts";
import type { LinkOutcome, LinkRequest, ManifestPut, PutOutcome } from "../rpc/ledger-writes.ts";
import type { ConfigFacts, Use } from "../rpc/manifest-facts.ts";
import { emptyReport, type ScrubStep } from "../rpc/scrub-report.ts";
import type {
  DeletionPage,
  RepositoryUsage,
  RestoredRepository,
  TagMove,
  TagRestore,
} from "../rpc/upkeep.ts";
import type { BlobLocation, ManifestRow, ReplicaKey } from "../storage/replica.ts";
import { CachedLedger } from "./ledger/cached-ledger.ts";
import { isFull } from "./ledger/capacity.ts";
import { listDeletions } from "./ledger/deletions.ts";
import { listReferrers } from "./ledger/listing.ts";
import { refusalByNewLedger } from "./ledger/manifests.ts";
import { countTotals } from "./ledger/totals.ts";

/** The policy that a request came with, where there are any. */
type Sent = AppliedPolicy | undefined;

/** The ledger; see {@link LedgerApi} for what each method does. */
export class Ledger extends CachedLedger implements LedgerApi {
  // ── The repository as a whole ────────────────────────────────────────────────────────────────────────────────

  async info(): Promise<RepositoryInfo | undefined> {
    if (this.meta === undefined || !this.exists) return undefined;
    const { name, visibility, description, kind } = this.meta;
    return { name, visibility, description, ...(kind && { kind }) };
  }

  async setInfo(
    change: RepositoryChange,
    origin: Origin,
    registered?: number,
  ): Promise<RepositoryInfo | undefined> {
    const { repository, registration, readme } = this.parts;
    if (this.meta === undefined) return undefined;
    if (!this.exists) {
      // It was deleted meanwhile. The name leaves the index with this object, which has to know under which number.
      if (registered !== undefined) this.change(undefined, (tx) => registration.note(tx, registered, true));
      return undefined;
    }
    const before = this.meta;
    this.change(undefined, (tx) => {
      repository.change(tx, before, change, origin);
      readme.write(tx, change.readme);
      registration.note(tx, registered, true);
    });
    // It is done, and the alarm tells the catalog where this fails.
    await Promise.all([repository.announce().catch(() => {}), this.parts.search.now()]);
    return this.info();
  }

  // ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────

  async locateBlob(digest: Digest, renew: boolean): Promise<BlobLocation | undefined> {
    if (!this.exists) return undefined;
    if (renew) {
      this.expectPush();
      this.parts.blobs.renewIfOld(digest);
    }
    return this.parts.blobs.location(digest);
  }

  async linkBlob(request: LinkRequest): Promise<LinkOutcome> {
    const { adoption, session, from, origin, born } = request;
    const { clock, leases, sessions, blobs, cache } = this.parts;
    if (born !== undefined && !cache.isUnchanged({ born })) return "changed";
    if (born === undefined && this.meta?.kind === "cache") return "read-only";
    if (isFull(this.parts)) return "full";
    return this.changeOrFound<LinkOutcome>(request, "unfounded", (tx, found) => {
      const now = clock.now();
      if (now >= adoption.leaseUntil || leases.isVoid(adoption)) return "lease-ended";
      if (session !== undefined && !sessions.close(tx, session, adoption.digest)) return "session-closed";
      found();
      if (born !== undefined) cache.claim(tx, born);
      if (blobs.link(tx, adoption, now) && born === undefined) blobs.recordLink(tx, adoption, origin, from);
      return "linked";
    });
  }

  async relocateBlob(location: BlobLocation): Promise<void> {
    if (!this.exists) return;
    const { blobs } = this.parts;
    this.change(undefined, (tx) => {
      const known = blobs.read(location.digest);
      if (known !== undefined) blobs.link(tx, location, known.renewedAtMs);
    });
  }

  async repairReplica(key: ReplicaKey): Promise<void> {
    if (!this.exists) return;
    const { outbox, blobs } = this.parts;
    this.change(undefined, (tx) => {
      if (key.kind !== "blob") outbox.mark(tx, key);
      else if (blobs.read(key.digest)?.isReplicated === true) blobs.markRows(tx, key.digest);
    });
  }

  async deleteBlob(digest: Digest, origin: Origin, precondition?: Precondition): Promise<Result> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.unlinking.remove(tx, digest, origin, precondition));
  }

  async holds(repository: RepositoryName, leases: NumberedLease[]): Promise<{ voided: string[] }> {
    const held = new Set(this.#kept(leases.map(({ digest }) => digest)));
    const unlinked = leases.filter(({ digest }) => !held.has(digest));
    if (unlinked.length > 0) this.change(repository, (tx) => this.parts.leases.add(tx, unlinked));
    return { voided: unlinked.map(({ digest }) => digest) };
  }

  async keepsBlob(digest: Digest): Promise<boolean> {
    return this.#kept([digest]).length > 0;
  }

  /** Which of the digests are linked, or were when the repository was deleted. */
  #kept(digests: Digest[]): Digest[] {
    const { blobs, generations } = this.parts;
    return this.meta === undefined ? [] : [...blobs.held(digests), ...generations.held(digests)];
  }

  // ── Upload sessions ──────────────────────────────────────────────────────────────────────────────────────────

  async sessionState(session: string): Promise<SessionState> {
    this.expectPush();
    return this.meta === undefined ? { state: "open" } : this.parts.sessions.state(session);
  }

  async cancelSession(repository: RepositoryName, session: string): Promise<void> {
    this.change(repository, (tx) => {
      this.parts.sessions.close(tx, session, null);
    });
  }

  // ── Manifests, tags, referrers ───────────────────────────────────────────────────────────────────────────────

  async putManifest(put: ManifestPut): Promise<PutOutcome> {
    if (this.meta?.kind === "cache") return failure("UPSTREAM_READ_ONLY");
    if (isFull(this.parts)) return failure("REPOSITORY_FULL");
    const { policies, guarded } = this.parts;
    const refused = this.exists ? undefined : policies.refuseName(put.repository, put.policy);
    // A name is not registered for a push that would be refused.
    const refusal = refused ?? (this.meta === undefined ? refusalByNewLedger(put) : undefined);
    if (refusal !== undefined) return refusal;
    return this.changeOrFound<PutOutcome>(put, { ok: false, reason: "unfounded" }, (tx, found) =>
      guarded.store(tx, put, found),
    );
  }

  async manifest(digest: Digest): Promise<ManifestRow | undefined> {
    return this.exists ? this.parts.manifests.read(digest) : undefined;
  }

  async statManifest(digest: Digest): Promise<ManifestStat | undefined> {
    if (!this.exists) return undefined;
    this.parts.untagged.renew(digest);
    return this.parts.manifests.stat(digest);
  }

  async resolveTags(tags: Tag[]): Promise<(ResolvedTag | null)[]> {
    const resolved = this.exists ? this.parts.tags.resolve(tags) : new Map<string, ResolvedTag>();
    return tags.map((tag) => resolved.get(tag) ?? null);
  }

  async deleteManifest(
    digest: Digest,
    origin: Origin,
    policy: Sent,
    precondition?: Precondition,
  ): Promise<Result<{ tags: Tag[] }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const { guarded } = this.parts;
    return this.change(undefined, (tx) => guarded.removeManifest(tx, digest, origin, policy, precondition));
  }

  async deleteTag(tag: Tag, origin: Origin, policy: Sent, precondition?: Precondition): Promise<Result> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) =>
      this.parts.guarded.removeTag(tx, tag, origin, policy, precondition),
    );
  }

  async listTags(last: string, limit: number): Promise<Result<{ page: Page<string> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: this.parts.tags.page(last, limit) };
  }

  async addConfigFacts(facts: ConfigFacts[]): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => this.parts.facts.addConfigs(tx, facts));
  }

  async recordUses(uses: Use[], day: number): Promise<void> {
    if (!this.exists) return;
    const { repository } = this.parts;
    this.parts.uses.record(uses, day);
    if (repository.isCurrent) return;
    repository.reload();
    // For the announcement to the search, which is scheduled with the day.
    this.parts.due.arm();
    // If the catalog does not learn of it, it does on the next day of use.
    this.ctx.waitUntil(repository.announce().catch(() => {}));
  }

  async listReferrers(
    subject: AnyDigest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): Promise<Page<Referrer>> {
    if (!this.exists) return { entries: [], more: false };
    return listReferrers(this.sql, this.parts.manifests, subject, artifactType, last, limit);
  }

  // ── History and restoring ─────────────────────────────────────────────────────────────────────────────────────────

  async tagHistory(tag: Tag, before: number, limit: number): Promise<Result<{ page: Page<TagMove> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const { tags } = this.parts;
    if (!tags.isKnown(tag)) return failure("MANIFEST_UNKNOWN", { tag });
    return { ok: true, page: tags.history(tag, before, limit) };
  }

  async restoreTag(
    tag: Tag,
    wanted: TagRestore,
    origin: Origin,
    policy: Sent,
  ): Promise<Result<{ digest: Digest; sequence: number }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.guarded.restoreTag(tx, tag, wanted, origin, policy));
  }

  async restoreManifest(digest: Digest, origin: Origin, policy: Sent): Promise<Result<{ tags: Tag[] }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.guarded.restoreManifest(tx, digest, origin, policy));
  }

  async restoreRepository(
    generation: number | undefined,
    origin: Origin,
  ): Promise<Result<RestoredRepository>> {
    if (this.meta === undefined) return failure("DELETION_UNKNOWN");
    // Only the last one is meant without a number: a repeated request must not restore what was before that, too.
    const { exists } = this;
    const number = generation ?? this.meta.generation - 1;
    const restored = this.change(undefined, (tx) => this.parts.restoring.begin(tx, number, exists, origin));
    // Of the number that was asked for, if one was.
    return !restored.ok && generation === undefined ? failure("DELETION_UNKNOWN") : restored;
  }

  async deletions(last: string, limit: number): Promise<DeletionPage> {
    return this.meta === undefined
      ? { entries: [], last: undefined }
      : listDeletions(this.parts, last, limit);
  }

  // ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────

  async usage(): Promise<RepositoryUsage | undefined> {
    return this.exists ? (await countTotals(this.sql)).usage : undefined;
  }

  async rebuildReplica(): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => this.parts.rebuilding.begin(tx));
  }

  async scrub(after: string): Promise<ScrubStep> {
    return this.exists ? this.parts.scrub.step(after) : { report: emptyReport(), next: undefined };
  }

  async dropOrphanedRows(repository: RepositoryName, keys: ReplicaKey[]): Promise<ReplicaKey[]> {
    return this.parts.scrub.dropOrphans(() => this.meta !== undefined, repository, keys);
  }
}
