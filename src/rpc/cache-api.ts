/**
 * What a ledger offers for a cached repository, which stands for one of an upstream; see api.ts.
 *
 * A question to an upstream takes a while. So each write names what was true before the question (`since`): if the
 * repository was deleted meanwhile, or the tag was moved or deleted, nothing is written.
 */
import type { Origin } from "../oci/event.ts";
import type { ManifestFacts } from "../oci/manifest-fields.ts";
import type { Digest, Tag } from "../oci/reference.ts";
import type { FoundingWrite } from "./ledger-writes.ts";

/**
 * The state of a repository before a question. `isOrdinary`: it was pushed, and never asks an upstream. `born`: which
 * of the repositories that had this name it is, by the time of its creation; 0 if there is none.
 */
export type CacheState = { isOrdinary: boolean; born: number };

/** A tag before a question. `sequence`: that of its last move. */
export type TagState = CacheState & {
  sequence: number;
  /** What it points at, and when the upstream was last asked, in milliseconds since 1970. */
  known?: { digest: Digest; mediaType: string; sizeBytes: number; checkedAtMs: number };
};

/** A blob before a question. `describedBytes`: its size, by a manifest that references it. */
export type BlobState = CacheState & { isLinked: boolean; describedBytes?: number };

/** What a tag must still be for a write about it. */
export type SinceTag = { tag: Tag; sequence: number };

/** A manifest that came from the upstream: its digest is right, and its facts were read. */
export type FetchedManifest = FoundingWrite & {
  digest: Digest;
  bytes: Uint8Array;
  facts: ManifestFacts;
  since: Pick<CacheState, "born"> & Partial<SinceTag>;
};

/**
 * Whether a write was done, or nothing was, because something changed during the question. `unfounded`: there is no
 * ledger; register the name, then write again. `full`: the ledger takes nothing more.
 */
export type CacheWrite = "done" | "changed" | "unfounded" | "full";

/** The events about an upstream that did not give what it was asked for, while something older is here. */
export type UpstreamTrouble = "upstream.stale" | "upstream.denied";

/** What an eviction removed; `more`: there is more that nobody used since that day. */
export type Evicted = { manifests: number; blobs: number; bytes: number; more: boolean };

/** What a cached repository holds, and the day since which some of it was not used, counted from 1970. */
export type CacheUsage = { bytes: number; oldestDay: number | null };

/** The calls of a ledger for caching. */
export interface CacheLedgerApi {
  /** The states of tags, in their order. */
  tagStates(tags: Tag[]): Promise<TagState[]>;
  blobState(digest: Digest): Promise<BlobState>;
  /** Stores a manifest, although what it references may be missing, and points the tag at it if there is one. */
  putFetched(put: FetchedManifest): Promise<CacheWrite>;
  /** Records that the upstream has the same digest for a tag. */
  noteChecked(since: SinceTag, checkedAtMs: number): Promise<CacheWrite>;
  /** Deletes a tag that the upstream has no more. */
  dropGone(since: SinceTag, origin: Origin): Promise<CacheWrite>;
  /**
   * Removes manifests of a cached repository that nobody used since a day, counted from 1970, with what only they
   * reference. An index is used if an image that it lists is. Nothing of it can be restored: it can be pulled again.
   */
  evict(beforeDay: number, origin: Origin): Promise<Evicted>;
  /** `undefined` if it is no cached repository. */
  cacheUsage(): Promise<CacheUsage | undefined>;
  /** Records an event about a question to the upstream; at most one of a type in a while. */
  noteUpstream(type: UpstreamTrouble, tag: Tag | undefined, origin: Origin): Promise<void>;
}

/** The calls of {@link CacheLedgerApi} that may be repeated. */
export const repeatableCacheCalls: ReadonlySet<keyof CacheLedgerApi> = new Set([
  "tagStates",
  "blobState",
  "noteChecked",
  "dropGone",
  "noteUpstream",
  "evict",
  "cacheUsage",
]);
