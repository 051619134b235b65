/**
 * How verified bytes become a blob of a repository: the shard adopts them and lends them to the repository, which
 * links them while the lease runs. Neither step holds anything while the other is awaited.
 */
import type { Clock } from "../clock.ts";
import type { Digest } from "../oci/digest.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { BlobLocation } from "../storage/replica.ts";
import type { LinkRequest } from "./api.ts";
import type { Adoption } from "./blob-shard-api.ts";
import { type ObjectBindings, repositoryStub, shardStub, Unreachable } from "./stubs.ts";

const attempts = 3;

/** Where a commit happens. */
type Committer = { objects: ObjectBindings; clock: Clock };

/**
 * Commits bytes that are stored and verified. `session` is the upload session that this ends.
 *
 * Errors: `BLOB_UPLOAD_UNKNOWN` when the session has ended otherwise, or the bytes were given up for deletion;
 * `REPOSITORY_DELETING`.
 *
 * @throws Unreachable when an object cannot be reached; nothing is lost and the commit may be repeated.
 */
export async function commitBlob(
  committer: Committer,
  repository: RepositoryName,
  blob: BlobLocation,
  session: string,
  origin: Origin,
): Promise<Result> {
  return linkAdopted(committer, repository, { session, origin }, async () => {
    const outcome = await shardStub(committer.objects, blob.digest).adopt(blob, repository);
    return outcome.ok ? outcome.adoption : undefined;
  });
}

/**
 * Links a digest that has bytes already, and that is linked in `from`, into another repository: a mount.
 *
 * Errors: `BLOB_UNKNOWN` when there are no bytes of this digest.
 */
export async function commitMount(
  committer: Committer,
  repository: RepositoryName,
  digest: Digest,
  from: RepositoryName,
  origin: Origin,
): Promise<Result> {
  return linkAdopted(committer, repository, { from, origin }, () =>
    shardStub(committer.objects, digest).lease(digest, repository),
  );
}

/**
 * Whether a blob that was committed is in the repository still, which then keeps it for another while: who repeats a
 * push relies on it.
 *
 * @throws Unreachable when the ledger cannot be reached.
 */
export async function isStillLinked(
  objects: ObjectBindings,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  return (await repositoryStub(objects, repository).locateBlob(digest, true)) !== undefined;
}

async function linkAdopted(
  { objects, clock }: Committer,
  repository: RepositoryName,
  how: Pick<LinkRequest, "session" | "from" | "origin">,
  adopt: () => Promise<Adoption | undefined>,
): Promise<Result> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const adoption = await adopt();
    if (adoption === undefined)
      return failure(how.session === undefined ? "BLOB_UNKNOWN" : "BLOB_UPLOAD_UNKNOWN");
    switch (await repositoryStub(objects, repository).linkBlob({ repository, adoption, ...how })) {
      case "linked":
        // A new link is safe from collection for a lease. What is heard of later may have gone, and is made again.
        if (clock.now() < adoption.leaseUntil) return { ok: true };
        break;
      case "session-closed":
        return failure("BLOB_UPLOAD_UNKNOWN");
      case "deleting":
        return failure("REPOSITORY_DELETING");
      case "lease-ended":
    }
  }
  throw new Unreachable(`linking took longer than the lease, ${attempts} times`);
}
