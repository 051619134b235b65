/** Plain data about upkeep, as it crosses RPC: collection, scrub, usage and restoring. */
import type { Digest } from "../oci/reference.ts";
import type { ScrubStep } from "./scrub-report.ts";

/**
 * What collection deleted: manifests by policy, links of blobs that nothing referenced, objects in the bucket with
 * their bytes, and uploads that were cut short.
 */
export type Freed = { manifests: number; links: number; blobs: number; bytes: number; uploads: number };

/**
 * How an object collects: how long it works on each kind of job, in milliseconds, and whether what is deleted or
 * unreferenced goes at once, as an administrator asks for.
 */
export type CollectHow = { budgetMs: number; endsGrace: boolean };

/**
 * The outcome of collection. `more`: some of what is due is left. `keptUntilMs`: something is kept until then because a
 * push may rely on it; 0 if nothing is.
 */
export type Collected = { freed: Freed; more: boolean; keptUntilMs: number };

/** How many jobs an object makes due at a time when their grace ends. */
export const endedAtOnce = 500;

/**
 * What an object does by its alarm, done now, for about as long as the budget says. Only the Worker calls these
 * methods.
 */
export interface Maintained {
  /** Does what is due. */
  collect(how: CollectHow): Promise<Collected>;
  /** Does a piece of a scrub: the one after the piece that ended with `after`; `""` for the first. */
  scrub(after: string): Promise<ScrubStep>;
}

/** A move of a tag: who pointed it from what to what; `null`: the tag did not exist. */
export type TagMove = {
  sequence: number;
  from: Digest | null;
  to: Digest | null;
  atMs: number;
  actor: string;
};

/**
 * What of a tag's history to restore: a digest; what a move led to; or, with neither, what came before what it points
 * at now.
 */
export type TagRestore = { digest?: Digest; sequence?: number };

/**
 * Deleted manifests that can be restored: how many, and some of them, each with the first of the tags that were deleted
 * with it.
 */
export type Restorable = {
  count: number;
  manifests: { digest: Digest; sizeBytes: number; tags: string[] }[];
};

/**
 * What a repository holds. `logical`: each thing counted as often as it is referenced, as if nothing was shared;
 * `stored`: each once.
 */
export type RepositoryUsage = {
  manifests: number;
  tags: number;
  blobs: number;
  /** The bytes of its blobs, each counted once. */
  blobBytes: number;
  logical: Amount;
  stored: Amount;
};

/** How many things, of how many bytes together. */
export type Amount = { objects: number; bytes: number };

/** What a shard stores: bytes of digests, and bytes that are going to be deleted, as far as their size is known. */
export type ShardUsage = { blobs: Amount; leaving: Amount };
