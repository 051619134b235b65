/** The interface of the object that finds repositories and tags. */
import type { PullCount } from "../metrics/meter.ts";
import type { ContentKind } from "../oci/manifest-summary.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { Page, RepositoryInfo, Visibility } from "./api.ts";
import type { Amount, RepositoryUsage } from "./upkeep.ts";

/**
 * What a ledger announces of its repository. `version` grows from one announcement to the next, also over a deletion,
 * so that a late one does not replace a newer one.
 */
export type SearchEntry = RepositoryInfo & {
  version: number;
  tags: number;
  sizeBytes: number;
  pushedAtMs: number | null;
  pushedBy: string | null;
  /** Counted from 1970. */
  usedDay: number | null;
  kinds: ContentKind[];
  platforms: string[];
  /** An earlier release does not announce it. */
  usage?: RepositoryUsage;
};

/** What a repository holds, as its ledger announced it last; `null` if it has not since an earlier release ran. */
export type ToldUsage = { name: RepositoryName; usage: RepositoryUsage | null };

/**
 * What all repositories hold, as their ledgers announced it. `manifestsAlone`: the manifests in `logical` and their bytes,
 * which repositories do not share. `untold`: how many have announced nothing. `isComplete`: no others are being read.
 */
export type ToldTotal = {
  repositories: number;
  logical: Amount;
  manifestsAlone: Amount;
  largestLedgerBytes: number;
  untold: number;
  isComplete: boolean;
};

/** Where a tag points now; `null`: it does not exist. */
export type TagChange = { tag: Tag; digest: Digest | null };

/** A repository that was found. */
export type FoundRepository = Omit<SearchEntry, "version" | "usage"> & {
  pulls: number;
  lastPulledAtMs: number | null;
};

/** A tag that was found. */
export type FoundTag = { repository: RepositoryName; tag: Tag; digest: Digest };

/** The orders of repositories. */
const searchOrders = ["relevance", "name", "pushed", "pulled", "pulls", "size"] as const;

/** One of {@link searchOrders}. */
export type SearchOrder = (typeof searchOrders)[number];

/** What is searched for, and what the caller may see of it. */
export type SearchQuery = {
  /** As it was typed. */
  text: string;
  kind: ContentKind | undefined;
  platform: string | undefined;
  visibility: Visibility | undefined;
  order: SearchOrder;
  /** Patterns of names: each of the sets must have one that matches, unless the repository is public. */
  readable: string[][];
  offset: number;
  limit: number;
};

/** A page of what was found. `next`: where the next page begins. */
export type SearchPage<T> = { entries: T[]; next: number | undefined };

/** The object that finds repositories. All that it has is derived from the ledgers and the catalog. */
export interface SearchApi {
  /**
   * Replaces what is known of a repository; `isWhole`: the tags that are not named do not exist. Returns whether that
   * was done, or had been: it is not where something newer is known. An earlier release does not say it.
   */
  put(entry: SearchEntry, tags: TagChange[], isWhole: boolean): Promise<boolean | undefined>;
  /**
   * Adds to the tags of a repository whose announcement does not fit in one call. Returns whether that announcement, of
   * this version, is the latest.
   */
  putTags(name: RepositoryName, version: number, tags: TagChange[]): Promise<boolean>;
  /** Changes who may pull a repository, and what it says of itself. */
  putInfo(info: RepositoryInfo, version: number): Promise<void>;
  remove(name: RepositoryName, version: number): Promise<void>;
  addPulls(pulls: PullCount[], now: number): Promise<void>;
  findRepositories(query: SearchQuery): Promise<SearchPage<FoundRepository>>;
  /** Tags whose names begin with the text after the colon, or that point at the digest that the text begins. */
  findTags(query: SearchQuery): Promise<SearchPage<FoundTag>>;
  /** A page of what the repositories after `last` hold, by name. */
  usage(last: string, limit: number): Promise<Page<ToldUsage>>;
  totalUsage(): Promise<ToldTotal>;
  /** Begins to read all repositories again. */
  rebuild(): Promise<void>;
}

/** The calls of {@link SearchApi} that may be repeated. */
export const repeatableSearchCalls: ReadonlySet<keyof SearchApi> = new Set([
  "put",
  "putTags",
  "putInfo",
  "remove",
  "findRepositories",
  "findTags",
  "usage",
  "totalUsage",
  "rebuild",
]);
