/**
 * The interface of the blob shards for ledgers and the Worker; see api.ts.
 */

import type { Rejection, Result } from "../oci/errors.ts";
import type { PatternSets } from "../oci/grant.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import type { BlobLocation } from "../storage/replica.ts";
import type { Maintained, ShardUsage } from "./upkeep.ts";

/**
 * A lease of a blob that a shard gave to a repository: the repository may link the blob until `leaseUntil`
 * (milliseconds since 1970), unless it has told the shard that it will not. `lease` numbers the leases of this digest
 * for this repository; a later one has a higher number.
 */
export type Adoption = BlobLocation & { lease: number; leaseUntil: number };

/** A lease that a shard asks about. */
export type NumberedLease = { digest: Digest; lease: number };

/**
 * Verified bytes to adopt. `segments`: the hashes of their segments in their order, by the algorithm of the digest; left
 * out if there is one segment, or nobody hashed them. `mayBeRead`: clients know where they are; if the digest has bytes
 * already, these are kept for `DELETE_DELAY`.
 */
export type VerifiedBytes = BlobLocation & { segments?: Uint8Array; mayBeRead?: boolean };

/**
 * The outcome of adopting bytes. `tombstoned`: the key will be deleted; `missing`: the bucket does not have it;
 * `unlisted`: the shard does not exist, and has to be listed first.
 */
export type AdoptionOutcome = Result<
  { adoption: Adoption },
  Rejection<"tombstoned" | "missing" | "unlisted">
>;

/** The shard that stores, shares and deletes the digests that begin with certain bytes. */
export interface BlobShardApi extends Maintained {
  // `isListed`: whether the catalog lists the shard, as far as the caller knows. A shard without any data refuses a
  // write that says no; a Worker of an earlier release, which does not say it, works with a catalog that lists them all.

  /**
   * Schedules the deletion of a key that is about to be written. Only its adoption cancels that. If the key is already
   * the content of a digest, or a tombstone, nothing changes: the call came late, or twice. (The method keeps its old
   * name, because Workers and shards of two releases call each other during a deployment.)
   */
  doom(digest: Digest, key: string, deleteAt: number, isListed?: boolean): Promise<"unlisted" | undefined>;
  /**
   * Makes written bytes the content of a digest, or finds that it has content already, and gives the repository
   * a lease on it.
   */
  adopt(blob: VerifiedBytes, repository: RepositoryName, isListed?: boolean): Promise<AdoptionOutcome>;
  /** Gives a repository a lease on a digest whose bytes are stored, for a mount. */
  lease(digest: Digest, repository: RepositoryName): Promise<Adoption | undefined>;
  /** The current location of a digest's bytes. */
  locate(digest: Digest): Promise<BlobLocation | undefined>;
  /**
   * A repository that holds a digest and matches a pattern of each of these sets, if one is found among the first
   * thousand holders that could match; `target` only if no other is. The time tells nothing of holders that do not
   * begin as a pattern does.
   */
  mountSource(
    digest: Digest,
    patternSets: PatternSets,
    target: RepositoryName,
  ): Promise<RepositoryName | undefined>;
  /** Repositories that hold a digest, at most `limit`. */
  holders(digest: Digest, limit: number): Promise<RepositoryName[]>;
  /** Reports that a repository may no longer hold these digests. It is asked again before it is dropped as a holder. */
  release(repository: RepositoryName, digests: Digest[]): Promise<void>;
  /** Rereads the bytes of a digest that somebody found to be wrong, and records whether they are. */
  verify(digest: Digest): Promise<void>;
  usage(): Promise<ShardUsage>;
  isHeldBy(digest: Digest, repository: RepositoryName): Promise<boolean>;
  /** Those of the keys in the bucket that the shard does not know. */
  unknownKeys(keys: string[]): Promise<string[]>;
}

/** The calls of {@link BlobShardApi} that may be repeated. */
export const repeatableShardCalls: ReadonlySet<keyof BlobShardApi> = new Set([
  "doom",
  "adopt",
  "lease",
  "locate",
  "mountSource",
  "holders",
  "release",
  "verify",
  "usage",
  "isHeldBy",
  "unknownKeys",
  "scrub",
]);
