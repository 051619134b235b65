/** The calls of a ledger and of the catalog that are about policies. */
import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Precondition } from "../oci/preconditions.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { AppliedPolicy, Policy, Rules, StoredPolicies } from "../policy/document.ts";
import type { Verdict } from "../policy/retention.ts";
import type { Amount, EndedGeneration } from "./upkeep.ts";

/** Why a run waits: its rules are new here, or it would remove much more than the runs before it. */
export type WaitReason = "new rules" | "more than usual";

/** A run of retention that waits to be confirmed: how many tags it would remove, of how many. */
export type WaitingRun = { sinceMs: number; removes: number; of: number; why: WaitReason };

/** A run that waits, in a list. */
export type ListedRun = WaitingRun & { repository: RepositoryName };

/** A run of retention; without an end, it is under way. */
export type RetentionRun = { atMs: number; removed: number; endedAtMs: number | null };

/** A tag that somebody holds. */
export type HeldTag = { tag: Tag; atMs: number; actor: string; reason: string };

/** What becomes of a tag. */
export type TriedTag = Verdict & { digest: Digest; pushedAtMs: number };

/** What a policy does to a repository now. Of the tags, at most so many as were asked for, those that go first. */
export type Trial = {
  /** Of all tags. */
  stays: number;
  goes: number;
  tags: TriedTag[];
  /** Missing if nothing removes manifests that no tag reaches any more. */
  freed?: { manifests: Amount; blobs: Amount };
  /** Why the next run would wait to be confirmed. */
  waits?: WaitReason;
};

/** What a repository has to do with its policy. */
export type PolicyReport = {
  /** What of it holds: nothing, if the repository is a cache. */
  policy: Policy;
  waiting?: WaitingRun;
  lastRun?: RetentionRun;
  /** When the next run begins; missing if there is none. */
  nextRunAtMs?: number;
  /** The first of the tags that are held. */
  held: HeldTag[];
  /** The first of the tags whose names are not allowed. */
  refusedTags: Tag[];
  /** What becomes of the tag that was asked for, if it exists. */
  verdict?: Verdict;
};

/** Changes that policies may refuse, each with what they say of the repository, and what else is about policies. */
export interface Policed {
  /** Errors: `TAG_IMMUTABLE`, `PRECONDITION_FAILED`. */
  deleteManifest(
    digest: Digest,
    origin: Origin,
    policy: AppliedPolicy | undefined,
    precondition?: Precondition,
  ): Promise<Result<{ tags: string[] }>>;
  /** Errors: `TAG_IMMUTABLE`, `PRECONDITION_FAILED`. */
  deleteTag(
    tag: Tag,
    origin: Origin,
    policy: AppliedPolicy | undefined,
    precondition?: Precondition,
  ): Promise<Result>;
  /**
   * Deletes the repository with all its contents, which can be restored for a while. The next push founds another one.
   * Error: `TAG_IMMUTABLE`.
   */
  deleteRepository(origin: Origin, policy: AppliedPolicy | undefined): Promise<Result<EndedGeneration>>;
  /** Points a tag at a manifest, or deletes it (`undefined`), even if the policies keep it as it is. */
  overrideTag(tag: Tag, digest: Digest | undefined, reason: string, origin: Origin): Promise<Result>;
  /** Keeps a policy, if it is newer than the known one, and schedules what it asks for. */
  adoptPolicy(policy: AppliedPolicy): Promise<void>;
  /** What this policy would do now. Nothing is changed. */
  tryPolicy(policy: AppliedPolicy, limit: number): Promise<Result<{ trial: Trial }>>;
  /** What the repository has to do with this policy, and what becomes of a tag. */
  explainPolicy(policy: AppliedPolicy, tag: Tag | undefined): Promise<Result<{ report: PolicyReport }>>;
  /** Starts the run of retention that waits. Error: `RUN_UNKNOWN`. */
  confirmRun(): Promise<Result<WaitingRun>>;
  /** Holds a tag, so that retention never removes it. Error: `MANIFEST_UNKNOWN`. */
  holdTag(tag: Tag, reason: string, actor: string): Promise<Result<{ held: HeldTag }>>;
  /** Ends the hold of a tag. Error: `MANIFEST_UNKNOWN` if it is not held. */
  releaseTag(tag: Tag): Promise<Result>;
}

/** The calls of {@link Policed} that may be repeated. */
export const repeatablePolicedCalls = ["adoptPolicy", "tryPolicy", "explainPolicy", "holdTag"] as const;

/** The policy document, in the catalog, and which runs of retention wait. */
export interface PolicyStore {
  /** The document; `undefined` if there never was one. */
  policies(): Promise<StoredPolicies | undefined>;
  /**
   * Replaces the document. `expected`: the version that is replaced, 0 for none. Error: `POLICIES_CHANGED` if it is
   * another one.
   */
  putPolicies(
    rules: Rules,
    expected: number | undefined,
    actor: string,
  ): Promise<Result<{ policies: StoredPolicies }>>;
  /** Stores that the run of a repository waits, or that it waits no more (`undefined`). */
  putWaitingRun(repository: RepositoryName, waiting: WaitingRun | undefined): Promise<void>;
  /** A page of the repositories whose runs wait, after `last`. */
  waitingRuns(last: string, limit: number): Promise<{ entries: ListedRun[]; more: boolean }>;
}

/** The calls of {@link PolicyStore} that may be repeated. */
export const repeatablePolicyCalls = ["policies", "putWaitingRun", "waitingRuns"] as const;
