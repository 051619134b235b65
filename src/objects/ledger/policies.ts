/**
 * What the policies say of this repository, and what they forbid. The Worker sends it with each write; the ledger keeps
 * what has the highest version, and never goes back.
 */
import { createHash } from "node:crypto";
import { type Failure, failure } from "../../oci/errors.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import { type AppliedPolicy, noPolicy, type Policy, policyFor } from "../../policy/document.ts";
import { isImmutable, placeOf, refusedName, refusedTag } from "../../policy/enforcement.ts";
import { catalogStub } from "../../rpc/stubs.ts";
import { parseDuration } from "../../units.ts";
import { firstRow, hasTable, readRows, type Tx } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that removes tags (retention.ts). */
export const retentionJob = "retention";

/** How long jobs go by the policy that was read for them, in milliseconds. */
const policyKeptMs = 30_000;

/** How many tags are read at a time. */
const tagsAPage = 1000;

/** The policy of this repository. */
export class Policies implements Feature {
  readonly tables = { policy: "kept", expired_tags: "kept" } as const;

  readonly steps = {
    // One row, with what holds as JSON.
    12: `
  CREATE TABLE policy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    policy TEXT NOT NULL,
    -- When there was a policy first: from then on, what is used is known.
    since INTEGER NOT NULL
  );
  -- What immutable tags pointed at that retention removed.
  CREATE TABLE expired_tags (tag TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  #known: AppliedPolicy | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  readonly #isCache: () => boolean;

  /** `isCache`: whether the repository is one of an upstream that is cached. */
  constructor(host: LedgerHost, isCache: () => boolean) {
    this.#host = host;
    this.#isCache = isCache;
  }

  /** What holds of a policy here: a cached repository is under none, as its upstream decides. */
  holding(policy: Policy): Policy {
    return this.#isCache() ? noPolicy : policy;
  }

  /** What holds, and by which version of the document; version 0 if there never was one. */
  get applied(): AppliedPolicy {
    if (this.#known !== undefined) return this.#known;
    const { sql } = this.#host;
    const query = "SELECT version, policy FROM policy WHERE id = 1";
    const row = hasTable(sql, "policy")
      ? firstRow<{ version: number; policy: string }>(sql, query)
      : undefined;
    if (row === undefined) return { version: 0, policy: noPolicy };
    this.#known = { version: row.version, policy: JSON.parse(row.policy) };
    return this.#known;
  }

  /** When there was a policy first, in milliseconds since 1970; now, if there was none. */
  get sinceMs(): number {
    const since = firstRow<{ since: number }>(this.#host.sql, "SELECT since FROM policy WHERE id = 1")?.since;
    return since ?? this.#host.clock.now();
  }

  /** How long a manifest is kept that nothing reaches; `undefined`: for ever. `isRule`: a rule says so. */
  get untaggedTtl(): { ttlMs: number | undefined; isRule: boolean } {
    return this.untaggedTtlBy(this.policy);
  }

  /** The same by another policy. */
  untaggedTtlBy({ remove }: Policy): { ttlMs: number | undefined; isRule: boolean } {
    const ruled = parseDuration(remove?.untaggedAfter ?? "");
    return { ttlMs: ruled ?? this.#host.settings.untaggedTtlMs, isRule: ruled !== undefined };
  }

  /** When the next run of retention begins. */
  get nextRunAtMs(): number | undefined {
    return this.#host.due.at(retentionJob, "");
  }

  /** What holds. */
  get policy(): Policy {
    return this.holding(this.applied.policy);
  }

  /** What was sent, or what is known if that is newer. */
  newerOf(sent: AppliedPolicy | undefined): AppliedPolicy {
    const { applied } = this;
    return sent !== undefined && sent.version > applied.version ? sent : applied;
  }

  /**
   * The policy in the catalog, for {@link adopt}; `undefined` if it was read a moment ago. To be called by jobs before they
   * remove anything: a repository that nobody pushes to may not have been told of a new document yet.
   */
  async readLatest(): Promise<AppliedPolicy | undefined> {
    const { env, name, clock } = this.#host;
    if (clock.now() < this.#readAt + policyKeptMs) return undefined;
    const document = await catalogStub(env).policies();
    this.#readAt = clock.now();
    return document && { version: document.version, policy: policyFor(document.rules, name()) };
  }

  /** Keeps what was sent, if it is newer than what is known. */
  adopt(tx: Tx, sent: AppliedPolicy | undefined): void {
    if (sent === undefined || sent.version <= this.applied.version) return;
    const { clock, revision } = this.#host;
    const put = `INSERT INTO policy (id, version, policy, since) VALUES (1, ?, ?, ?)
      ON CONFLICT DO UPDATE SET version = excluded.version, policy = excluded.policy`;
    tx.write(put, sent.version, JSON.stringify(sent.policy), clock.now());
    revision.value++;
    // Read again, as the transaction may be undone.
    this.#known = undefined;
    this.arm(tx);
  }

  /** Schedules the first run of retention, if the policy removes tags. To be called when the repository is founded, too. */
  arm(tx: Tx): void {
    if (this.policy.remove !== undefined && !this.#host.due.has(retentionJob)) this.scheduleRun(tx);
  }

  /** Schedules the next run of retention. Each repository has its own time, so that not all run at once. */
  scheduleRun(tx: Tx): void {
    const { due, clock, settings, name } = this.#host;
    const every = settings.retentionEveryMs;
    const own = createHash("sha256").update(name()).digest().readUInt32BE() % every;
    const now = clock.now();
    due.set(tx, retentionJob, "", now - ((((now - own) % every) + every) % every) + every);
  }

  /** Forgets what was read, as the object's data is deleted. */
  forget(): void {
    this.#known = undefined;
  }

  // ── What is forbidden ────────────────────────────────────────────────────────────────────────────────────────

  /** Why the repository may not be founded; `undefined` if it may. Error: `NAME_REFUSED`. */
  refuseName(repository: string, sent: AppliedPolicy | undefined): Failure | undefined {
    const refused = refusedName(this.newerOf(sent).policy, repository);
    return refused && failure("NAME_REFUSED", { repository, ...refused });
  }

  /** Why a push may not point these tags at a digest. Errors: `TAG_REFUSED`, `TAG_IMMUTABLE`. */
  refusePush(pushed: Tag[], digest: Digest): Failure | undefined {
    for (const tag of pushed) {
      const refused = this.#digestOf(tag) === undefined ? refusedTag(this.policy, tag) : undefined;
      const refusal = refused ? failure("TAG_REFUSED", { tag, ...refused }) : this.refuseMove(tag, digest);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Why a tag may not be pointed at a digest, or be deleted (`undefined`). Error: `TAG_IMMUTABLE`. */
  refuseMove(tag: Tag, digest: Digest | undefined): Failure | undefined {
    if (!isImmutable(this.policy, tag)) return undefined;
    const current = this.#digestOf(tag);
    // What is not there cannot be deleted; another part says so.
    if (current === undefined && digest === undefined) return undefined;
    const only = current ?? this.#expired(tag);
    return only === undefined || only === digest ? undefined : this.#immutable(tag, only);
  }

  #digestOf(tag: Tag): Digest | undefined {
    return firstRow<{ digest: Digest }>(this.#host.sql, "SELECT digest FROM tags WHERE tag = ?", tag)?.digest;
  }

  /** What an immutable tag pointed at that retention removed. */
  #expired(tag: Tag): Digest | undefined {
    const query = "SELECT digest FROM expired_tags WHERE tag = ?";
    return firstRow<{ digest: Digest }>(this.#host.sql, query, tag)?.digest;
  }

  /** Remembers what a tag points at that retention removes, if it is immutable: it may be made again only with that. */
  rememberExpired(tx: Tx, tag: Tag, digest: Digest): void {
    if (isImmutable(this.policy, tag))
      tx.write("INSERT OR REPLACE INTO expired_tags (tag, digest) VALUES (?, ?)", tag, digest);
  }

  /** Forgets it, as an administrator has overridden the tag. */
  forgetExpired(tx: Tx, tag: Tag): void {
    tx.write("DELETE FROM expired_tags WHERE tag = ?", tag);
  }

  /** Why a manifest may not be deleted: an immutable tag leads to it, itself or by an index. Error: `TAG_IMMUTABLE`. */
  refuseDeletion(digest: Digest): Failure | undefined {
    if (this.policy.tags?.immutable === undefined) return undefined;
    const query = `WITH RECURSIVE leading(digest) AS (
        SELECT ?1 UNION SELECT manifest FROM manifest_references JOIN leading USING (digest)
      ) SELECT tags.tag, tags.digest FROM tags JOIN leading USING (digest)` as const;
    const found = readRows<{ tag: Tag; digest: Digest }>(this.#host.sql, query, digest);
    const reaching = found.find(({ tag }) => isImmutable(this.policy, tag));
    return reaching && this.#immutable(reaching.tag, reaching.digest);
  }

  /** Why the repository may not be deleted: it has an immutable tag. Error: `TAG_IMMUTABLE`. */
  refuseEnd(): Failure | undefined {
    if (this.policy.tags?.immutable === undefined) return undefined;
    const query = "SELECT tag, digest FROM tags WHERE tag > ? ORDER BY tag LIMIT ?";
    for (let last = ""; ; ) {
      const page = readRows<{ tag: Tag; digest: Digest }>(this.#host.sql, query, last, tagsAPage);
      const kept = page.find(({ tag }) => isImmutable(this.policy, tag));
      if (kept !== undefined) return this.#immutable(kept.tag, kept.digest);
      if (page.length < tagsAPage) return undefined;
      last = page.at(-1)?.tag ?? "";
    }
  }

  #immutable(tag: Tag, digest: Digest): Failure {
    return failure("TAG_IMMUTABLE", { tag, digest, rule: placeOf(this.policy, "tags", "immutable") });
  }
}
