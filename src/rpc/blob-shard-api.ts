/**
 * What the shards of blobs say to the ledgers and to the Worker; see api.ts.
 */

import type { Rejection, Result } from "../oci/errors.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import type { BlobLocation } from "../storage/replica.ts";
import type { Maintained, ShardUsage } from "./upkeep.ts";

/**
 * A lease of a blob, which a shard gave to a repository: it may link the blob until `leaseUntil` (milliseconds since
 * 1970), unless it told the shard that it will not. `lease` numbers the leases of this digest that this repository got; a
 * later one has a higher number.
 */
export type Adoption = BlobLocation & { lease: number; leaseUntil: number };

/** A lease of a digest, as the shard that gave it asks about it. */
export type NumberedLease = { digest: Digest; lease: number };

/** The shard that decides the life of the digests that begin with one byte. */
export interface BlobShardApi extends Maintained {
  /**
   * Schedules the deletion of a key that is about to be written. Only its adoption cancels that. A key that is the
   * content of a digest, or a tombstone, is left as it is: the call came late, or twice. (The name is that of earlier
   * releases, as during a deployment Workers and shards of two releases call each other.)
   */
  doom(digest: Digest, key: string, deleteAt: number): Promise<void>;
  /**
   * Makes written bytes the content of a digest, or finds that it has content already, and gives the repository
   * a lease on it. `tombstoned`: the key is going to be deleted; `missing`: the bucket does not have it.
   */
  adopt(
    blob: BlobLocation,
    repository: RepositoryName,
  ): Promise<Result<{ adoption: Adoption }, Rejection<"tombstoned" | "missing">>>;
  /** Gives a repository a lease on a digest whose bytes are there: a mount. */
  lease(digest: Digest, repository: RepositoryName): Promise<Adoption | undefined>;
  /** Where the bytes of a digest are now. */
  locate(digest: Digest): Promise<BlobLocation | undefined>;
  /** Repositories that hold a digest, at most `limit`. */
  holders(digest: Digest, limit: number): Promise<RepositoryName[]>;
  /** A repository may hold these no longer; it is asked before anything is dropped. */
  release(repository: RepositoryName, digests: Digest[]): Promise<void>;
  /** Reads the bytes of a digest, and notes whether they are its own: somebody found that they are not. */
  verify(digest: Digest): Promise<void>;
  usage(): Promise<ShardUsage>;
  isHeldBy(digest: Digest, repository: RepositoryName): Promise<boolean>;
  /** Which of the keys in the bucket the shard knows nothing of. */
  unknownKeys(keys: string[]): Promise<string[]>;
}

/** The calls of {@link BlobShardApi} that may be repeated. */
export const repeatableShardCalls: ReadonlySet<keyof BlobShardApi> = new Set([
  "doom",
  "adopt",
  "lease",
  "locate",
  "holders",
  "release",
  "verify",
  "usage",
  "isHeldBy",
  "unknownKeys",
  "scrub",
]);
