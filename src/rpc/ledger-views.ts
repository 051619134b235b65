/** What pages about a repository show, as it crosses RPC. */
import type { Result } from "../oci/errors.ts";
import type { ListedContent } from "../oci/manifest-content.ts";
import type { ContentKind } from "../oci/manifest-summary.ts";
import type { Digest, Tag } from "../oci/reference.ts";
import type { TagOrder } from "../oci/tag-version.ts";
import type { ManifestDetails, ManifestEntry, TagEntry } from "./manifest-facts.ts";
import type { Amount, TagMove } from "./upkeep.ts";

/** A repository in numbers. */
export type RepositorySummary = {
  tags: number;
  manifests: number;
  logical: Amount;
  stored: Amount;
  /** The last push of a manifest. */
  pushedAtMs?: number;
  pushedBy?: string;
  /** The kinds of what is tagged, and the platforms of its images. */
  kinds: ContentKind[];
  platforms: string[];
};

/** A repository in numbers, and its README; empty if there is none. */
export type RepositoryOverview = RepositorySummary & { readme: string };

/** Which tags, in which order, from which position on. */
export type TagsWanted = {
  /** Only tags that contain this; case does not count. */
  query: string;
  order: TagOrder;
  offset: number;
  limit: number;
};

/** How many of each kind refer to a manifest. */
export type ReferrerCounts = Partial<Record<ContentKind, number>>;

/** A tag in a list, with what refers to its manifest. */
export type CountedTag = TagEntry & { referrers: ReferrerCounts };

/** A manifest that refers to another one: by its subject, by a tag as cosign makes it, or beside it in an index. */
export type ReferrerView = Omit<ManifestEntry, "tags"> & {
  by: "subject" | "tag" | "index";
  tag?: Tag;
  annotations: Record<string, string>;
  layers: ListedContent[];
  referrers: ReferrerView[];
};

/** A manifest as a page shows it. */
export type ManifestView = {
  manifest: ManifestDetails;
  annotations: Record<string, string>;
  layers: ListedContent[];
  /** What an index lists; `manifest` is missing if the repository does not have it. */
  children: (ListedContent & { manifest?: Omit<ManifestEntry, "tags"> })[];
  referrers: ReferrerView[];
  /** The manifest itself, unless it is larger than a page shows. */
  text?: string;
};

/** A move of any tag. */
export type NamedMove = TagMove & { tag: Tag };

/** The calls of a ledger that only read for pages. */
export interface LedgerViews {
  /** `undefined` if the repository does not exist. */
  summary(): Promise<RepositoryOverview | undefined>;
  /** A page of tags. `next`: the position after it, if there are more. */
  findTags(wanted: TagsWanted): Promise<Result<{ entries: CountedTag[]; next: number | undefined }>>;
  /** Announces the repository with all its tags to the object that finds repositories. */
  announceAll(): Promise<void>;
  view(digest: Digest): Promise<Result<{ view: ManifestView }>>;
  /** The moves of all tags, newest first, before the one with this sequence number. */
  history(before: number, limit: number): Promise<Result<{ page: { entries: NamedMove[]; more: boolean } }>>;
  /** Manifests that no tag, index or subject leads to, in the order of their digests. */
  untagged(
    last: string,
    limit: number,
  ): Promise<Result<{ page: { entries: ManifestEntry[]; more: boolean } }>>;
}
