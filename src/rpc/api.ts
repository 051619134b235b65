/**
 * The interfaces of the objects for each other and for the Worker. Arguments and results are plain data, as they cross
 * RPC.
 *
 * A method that one object calls in another awaits no further object. Methods that do, such as those of `Upload` and of
 * {@link Maintained}, only the Worker calls.
 *
 * A call whose answer was lost may have been carried out. Beside each interface is a list of those methods that may
 * then be called again: a second call changes nothing that the first did not change, undoes nothing that somebody else
 * did in between, and gives the same answer. A method that is not listed is never called again (stubs.ts).
 */
import type { LaterData, StoredClass } from "../data-versions.ts";
import type { Report, Sample } from "../metrics/meter.ts";
import type { AuditKind, AuditOutcome } from "../oci/audit.ts";
import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Precondition } from "../oci/preconditions.ts";
import type { AnyDigest, Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { BlobLocation, ManifestRow, ReplicaKey, TagRow } from "../storage/replica.ts";
import type { Account, AccountPut, PasswordHash, SigningKey, TokenPut, TokenRecord } from "./accounts.ts";
import type { NumberedLease } from "./blob-shard-api.ts";
import { type CacheLedgerApi, repeatableCacheCalls } from "./cache-api.ts";
import type { LedgerViews } from "./ledger-views.ts";
import type { LinkOutcome, LinkRequest, ManifestPut, PutOutcome } from "./ledger-writes.ts";
import type { ConfigFacts, ManifestDetails, ManifestEntry, TagEntry, Use } from "./manifest-facts.ts";
import type { KnownName } from "./name-index-api.ts";
import type { Policed, PolicyStore } from "./policies-api.ts";
import { repeatablePolicedCalls, repeatablePolicyCalls } from "./policies-api.ts";
import type { Maintained, RepositoryUsage, TagMove, Undoing } from "./upkeep.ts";

export type { Account, AccountPut, PasswordHash, SigningKey, TokenPut, TokenRecord } from "./accounts.ts";

/** The ledger's state of an upload session that needed no `Upload` object. */
export type SessionState = { state: "open" } | { state: "cancelled" } | { state: "finished"; digest: string };

/** A manifest without its bytes. */
export type ManifestStat = { digest: Digest; mediaType: string; sizeBytes: number };

/** A tag as the ledger resolves it. */
export type ResolvedTag = ManifestStat & TagRow;

/** An entry of the referrers API. */
export type Referrer = {
  mediaType: string;
  digest: string;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
};

/** A page of a list, and whether there is more after it. */
export type Page<T> = { entries: T[]; more: boolean };

/** The ledger of one repository. */
export interface LedgerApi extends Maintained, Undoing, LedgerViews, Policed, CacheLedgerApi {
  /**
   * The location of a linked blob. `renew`: a client will rely on the blob, so the grace of an unreferenced one is
   * renewed.
   */
  locateBlob(digest: Digest, renew: boolean): Promise<BlobLocation | undefined>;
  linkBlob(request: LinkRequest): Promise<LinkOutcome>;
  /** Corrects the location of a linked blob to the one that its shard gave. */
  relocateBlob(location: BlobLocation): Promise<void>;
  /** Rewrites the replica's rows about a linked blob, or the row of a manifest, because one of them is wrong. */
  repairReplica(key: ReplicaKey): Promise<void>;
  deleteBlob(digest: Digest, origin: Origin, precondition?: Precondition): Promise<Result>;
  /**
   * Called by shards before they drop this repository as a holder of digests. Digests that are not linked here, nor
   * were when the repository was deleted, are `voided`: they will never be linked on the lease that is asked about, or
   * on an earlier one.
   */
  holds(repository: RepositoryName, leases: NumberedLease[]): Promise<{ voided: string[] }>;
  /** Whether the repository holds a blob in the sense of {@link holds}, though it may not be read through it. */
  keepsBlob(digest: Digest): Promise<boolean>;
  sessionState(session: string): Promise<SessionState>;
  cancelSession(repository: RepositoryName, session: string): Promise<void>;
  putManifest(put: ManifestPut): Promise<PutOutcome>;
  manifest(digest: Digest): Promise<ManifestRow | undefined>;
  statManifest(digest: Digest): Promise<ManifestStat | undefined>;
  /** Resolves tags; `null` in the place of one that does not exist. */
  resolveTags(tags: Tag[]): Promise<(ResolvedTag | null)[]>;
  listTags(last: string, limit: number): Promise<Result<{ page: Page<string> }>>;
  /** Who may pull; `undefined` if the repository does not exist. */
  info(): Promise<RepositoryInfo | undefined>;
  /** `registration`: the number under which the name was registered as public, if the change makes it public. */
  setInfo(
    change: RepositoryChange,
    origin: Origin,
    registration?: number,
  ): Promise<RepositoryInfo | undefined>;
  /** The moves of a tag, newest first, before the one with this sequence number. */
  tagHistory(tag: Tag, before: number, limit: number): Promise<Result<{ page: Page<TagMove> }>>;
  listManifests(last: string, limit: number): Promise<Result<{ page: Page<ManifestEntry> }>>;
  describeManifest(digest: Digest): Promise<Result<{ manifest: ManifestDetails }>>;
  /** Tags after `last` with what is known of their manifests. */
  describeTags(last: string, limit: number): Promise<Result<{ page: Page<TagEntry> }>>;
  describeTag(tag: Tag): Promise<Result<{ tag: TagEntry }>>;
  /** Stores what the configs of images say. */
  addConfigFacts(facts: ConfigFacts[]): Promise<void>;
  /** Records that manifests were used on a day, counted from 1970; or on the ledger's own, if that is later. */
  recordUses(uses: Use[], day: number): Promise<void>;
  /** The size of its contents; `undefined` if the repository does not exist. */
  usage(): Promise<RepositoryUsage | undefined>;
  /** Starts rewriting every row of the replica, in batches, by the alarm. */
  rebuildReplica(): Promise<void>;
  /** Removes those of these rows from the replica that should not exist; returns them. Only the Worker calls it. */
  dropOrphanedRows(repository: RepositoryName, keys: ReplicaKey[]): Promise<ReplicaKey[]>;
  listReferrers(
    subject: AnyDigest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): Promise<Page<Referrer>>;
}

/** The calls of {@link LedgerApi} that may be repeated. */
export const repeatableLedgerCalls: ReadonlySet<keyof LedgerApi> = new Set([
  "locateBlob",
  "linkBlob",
  "relocateBlob",
  "repairReplica",
  "holds",
  "keepsBlob",
  "sessionState",
  "cancelSession",
  "manifest",
  "statManifest",
  "resolveTags",
  "listTags",
  "info",
  "tagHistory",
  "listManifests",
  "deletions",
  "describeManifest",
  "describeTags",
  "describeTag",
  "addConfigFacts",
  "recordUses",
  "summary",
  "findTags",
  "view",
  "history",
  "untagged",
  "announceAll",
  "usage",
  "rebuildReplica",
  "listReferrers",
  "scrub",
  ...repeatablePolicedCalls,
  ...repeatableCacheCalls,
]);

/** Who may pull a repository: those with a grant, or everybody. */
export type Visibility = "private" | "public";

/**
 * The editable fields of a repository. `kind`: it stands for a repository of an upstream. Its visibility is that of its
 * upstream, which the settings say.
 */
export type RepositoryInfo = {
  name: RepositoryName;
  visibility: Visibility;
  description: string;
  kind?: "cache" | null;
};

/**
 * A repository in the catalog, with the number of its pulls. `usedDay`: the last day on which anything of it was used,
 * counted from 1970.
 */
export type ListedRepository = RepositoryInfo & {
  pulls: number;
  lastPulledAtMs: number | null;
  usedDay: number | null;
};

/** How often a tag was pulled, and when last. */
export type TagPulls = { tag: string; pulls: number; lastPulledAtMs: number };

/** A change to {@link RepositoryInfo}, or to the README; fields that are left out stay as they are. */
export type RepositoryChange = { visibility?: Visibility; description?: string; readme?: string };

/** An entry of the audit log: an action that was done or refused. */
export type AuditEntry = {
  time: string;
  actor: string;
  action: string;
  target: string;
  outcome: AuditOutcome;
  address: string;
  requestId: string;
  detail?: string;
  /** How many equal refusals this entry stands for, if more than one; the other fields are of the first. */
  times?: number;
};

/** An entry to store. */
export type NewAuditEntry = AuditEntry & { kind: AuditKind };

/** A stored entry. Ids increase over the entries of all kinds. */
export type KeptAuditEntry = AuditEntry & { id: number };

/** How much a ledger could not deliver yet: rows of the replica, and events. */
export type Backlog = { replica: number; events: number };

/** The catalog: data that a registry has once. */
export interface CatalogApi extends PolicyStore {
  /** The secret that signs upload sessions; created on first use. */
  sessionSecret(): Promise<Uint8Array>;
  /**
   * Lists a repository. `keepsDeleted`: its ledger has content that was deleted with a repository of this name.
   * `version`: rises with each change of what the ledger says, but for that of `usedDay`; a ledger of an earlier release
   * has none. If a later version is known, the call is late and changes nothing, and the answer is that version.
   */
  putRepository(
    info: RepositoryInfo,
    usedDay: number | undefined,
    keepsDeleted: boolean,
    version?: number,
  ): Promise<number | undefined>;
  /** Takes a repository off the list. `version` and the answer are those of `putRepository`. */
  removeRepository(
    repository: RepositoryName,
    keepsDeleted: boolean,
    version?: number,
  ): Promise<number | undefined>;
  /** A page of the names after `last` of repositories, and of those that were deleted and are kept for a while. */
  listLedgers(last: string, limit: number): Promise<Page<RepositoryName>>;
  /** A page of repositories after `last` whose name or description contains `query`. */
  listRepositories(query: string, last: string, limit: number): Promise<Page<ListedRepository>>;
  /** A repository of the list; `undefined` if it is not listed. */
  repository(name: RepositoryName): Promise<ListedRepository | undefined>;
  /**
   * A page of the names after `last` as in `listLedgers`, for the index of names. From `settledAtMs` on (milliseconds since
   * 1970), every ledger that no registration preceded is in the list.
   */
  repositoryNames(
    last: string,
    limit: number,
  ): Promise<{ names: KnownName[]; more: boolean; settledAtMs: number }>;
  /** Records that a shard may have rows. To be awaited before its first row is written. */
  addShard(name: string): Promise<void>;
  /** The names of the shards that may have rows, in order. */
  shards(): Promise<string[]>;
  /** Records that an object has data of a later release, of this version. */
  noteLaterData(kind: StoredClass, object: string, version: number): Promise<void>;
  /** What objects have said of data of a later release. */
  laterData(): Promise<LaterData[]>;

  /** Adds the counts of isolates to the totals, each report once. */
  addCounts(report: Report, now: number): Promise<void>;
  /** Stores the backlog of a ledger, which may be empty. */
  putBacklog(repository: RepositoryName, backlog: Backlog): Promise<void>;
  /**
   * The ids of upload sessions that were reported as open, at most `limit`. Only sessions with their own object count.
   */
  openUploads(limit: number): Promise<string[]>;
  /** The totals of all isolates' counts, and the metrics of objects. */
  counts(): Promise<Sample[]>;
  /** The tags of a repository that are pulled most. */
  tagPulls(repository: RepositoryName, limit: number): Promise<TagPulls[]>;

  account(name: string): Promise<Account | undefined>;
  listAccounts(last: string, limit: number): Promise<Page<Account>>;
  /** The names of all accounts, as the bytes of a `NameFilter`. */
  accountNames(): Promise<Uint8Array<ArrayBuffer>>;
  /** Returns the account as it is now, and whether it is new. */
  putAccount(account: AccountPut): Promise<{ account: Account; isNew: boolean }>;
  /** Changes the password of an account that still has this version; `undefined` if it does not, or is disabled. */
  changePassword(name: string, version: string, password: PasswordHash): Promise<Account | undefined>;
  /** Deletes an account with its tokens. Returns whether there was one. */
  deleteAccount(name: string): Promise<boolean>;
  addToken(token: TokenPut): Promise<void>;
  token(id: string): Promise<TokenRecord | undefined>;
  /** The token with this hash, of any account. `day` is stored as the day of its last use, once a day. */
  tokenBySecret(secretHash: string, day: number): Promise<TokenRecord | undefined>;
  listTokens(account: string): Promise<TokenRecord[]>;
  deleteToken(account: string, id: string): Promise<boolean>;

  /** The signing keys, newest first. A new one is created if there is none, or the newest is too old. */
  signingKeys(): Promise<SigningKey[]>;
  /** Creates a new signing key. Earlier keys still verify. */
  rotateSigningKey(): Promise<SigningKey[]>;

  audit(entries: NewAuditEntry[]): Promise<void>;
  /** The entries before an id, of one kind or of all, newest first. */
  listAudit(kind: AuditKind | undefined, before: number, limit: number): Promise<Page<KeptAuditEntry>>;
}

/** The calls of {@link CatalogApi} that may be repeated. */
export const repeatableCatalogCalls: ReadonlySet<keyof CatalogApi> = new Set([
  "sessionSecret",
  "putRepository",
  "removeRepository",
  "listLedgers",
  "listRepositories",
  "repository",
  "repositoryNames",
  "addShard",
  "shards",
  "noteLaterData",
  "laterData",
  "addCounts",
  "putBacklog",
  "openUploads",
  "counts",
  "tagPulls",
  ...repeatablePolicyCalls,
  "account",
  "listAccounts",
  "token",
  "tokenBySecret",
  "accountNames",
  "listTokens",
  "signingKeys",
  "listAudit",
]);
