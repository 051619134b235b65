/** Plain data about upkeep, as it crosses RPC: collection, scrub, usage and restoring. */
import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Digest, Tag } from "../oci/reference.ts";
import type { AppliedPolicy } from "../policy/document.ts";
import type { ScrubStep } from "./scrub-report.ts";

/**
 * What collection deleted: manifests by policy, links of blobs that nothing referenced, objects in the bucket with
 * their bytes, and uploads that were cut short.
 */
export type Freed = { manifests: number; links: number; blobs: number; bytes: number; uploads: number };

/**
 * Options of collection: how long an object works on each kind of job, in milliseconds, and whether an administrator
 * has ended the grace of deleted and unreferenced content.
 */
export type CollectHow = { budgetMs: number; endsGrace: boolean };

/**
 * The outcome of collection. `more`: some jobs are still due. `keptUntilMs`: something is kept until then because a
 * push may rely on it; 0 if nothing is.
 */
export type Collected = { freed: Freed; more: boolean; keptUntilMs: number };

/** How many jobs an object makes due at a time when it ends their grace. */
export const endedAtOnce = 500;

/**
 * Runs the work of an object's alarm now, for about as long as the budget. Only the Worker calls these methods.
 */
export interface Maintained {
  /** Runs the jobs that are due. */
  collect(how: CollectHow): Promise<Collected>;
  /** Runs one piece of a scrub, the one after `after`; `""` for the first. */
  scrub(after: string): Promise<ScrubStep>;
}

/** A move of a tag from one digest to another, and its actor; `null`: the tag did not exist. */
export type TagMove = {
  sequence: number;
  from: Digest | null;
  to: Digest | null;
  atMs: number;
  actor: string;
  /** Why, if that was said. */
  reason: string | null;
};

/**
 * What to restore from a tag's history: a digest; the result of a move; or, with neither, the digest before the current
 * one.
 */
export type TagRestore = { digest?: Digest; sequence?: number };

/**
 * A repository that was deleted: the number of its content, until when that can be restored, and which deletions before
 * it can be undone no more because of it.
 */
export type EndedGeneration = { generation: number; untilMs: number; lost: number[] };

/** Who deleted something, when, and until when it can be restored; in milliseconds since 1970. */
type Deleted = { atMs: number; actor: string; untilMs: number };

/**
 * Something that was deleted and can be restored: a repository with all that it had, which is one `generation` of its
 * content; a manifest, with the first of the tags that were deleted with it; or a tag.
 */
export type Deletion = Deleted &
  (
    | { what: "repository"; generation: number }
    | { what: "manifest"; digest: Digest; sizeBytes: number; tags: Tag[] }
    | { what: "tag"; tag: Tag; digest: Digest }
  );

/** A page of deletions. `last`: where the next page begins, if there is one. */
export type DeletionPage = { entries: Deletion[]; last: string | undefined };

/** A generation that is restored. `isComplete`: all of it is there; the rest follows in batches. */
export type RestoredRepository = { generation: number; deletedAtMs: number; isComplete: boolean };

/** The calls of a ledger that undo moves of tags, and deletions. */
export interface Undoing {
  restoreTag(
    tag: Tag,
    wanted: TagRestore,
    origin: Origin,
    policy: AppliedPolicy | undefined,
  ): Promise<Result<{ digest: Digest; sequence: number }>>;
  /** Restores a deleted manifest and those of its tags that do not exist. */
  restoreManifest(
    digest: Digest,
    origin: Origin,
    policy: AppliedPolicy | undefined,
  ): Promise<Result<{ tags: string[] }>>;
  /**
   * Restores what the repository had when it was deleted: the last time, or in the generation of this number. What
   * exists meanwhile stays as it is. Error: `DELETION_UNKNOWN`.
   */
  restoreRepository(generation: number | undefined, origin: Origin): Promise<Result<RestoredRepository>>;
  /** A page of what was deleted and can be restored, after `last`. */
  deletions(last: string, limit: number): Promise<DeletionPage>;
}

/**
 * The size of a repository. `logical` counts each blob or manifest as often as it is referenced, as if nothing was
 * shared; `stored` counts each once.
 */
export type RepositoryUsage = {
  manifests: number;
  tags: number;
  blobs: number;
  /** The bytes of its blobs, each counted once. */
  blobBytes: number;
  /** What its ledger has in its database: manifests, tags, history. */
  ledgerBytes: number;
  logical: Amount;
  stored: Amount;
};

/** A number of blobs, manifests or both, and their total bytes. */
export type Amount = { objects: number; bytes: number };

/** Amounts, added up. */
export function sumOf(...amounts: readonly Amount[]): Amount {
  const sum = { objects: 0, bytes: 0 };
  for (const { objects, bytes } of amounts) {
    sum.objects += objects;
    sum.bytes += bytes;
  }
  return sum;
}

/** What a shard stores: bytes of digests, and bytes that will be deleted, as far as their size is known. */
export type ShardUsage = { blobs: Amount; leaving: Amount };
