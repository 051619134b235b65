/**
 * Commits verified bytes as a blob of a repository: the shard adopts them and gives the repository a lease, and the
 * ledger links them during the lease. Neither holds a lock while it waits for the other.
 */
import type { Clock } from "../clock.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import type { BlobLocation } from "../storage/replica.ts";
import type { Adoption, VerifiedBytes } from "./blob-shard-api.ts";
import { adoptBytes, writeToLedger } from "./founding.ts";
import type { LinkRequest } from "./ledger-writes.ts";
import { type ObjectBindings, repositoryStub, shardStub, Unreachable } from "./stubs.ts";

const attempts = 3;

/** What a commit needs to reach the objects. */
type Committer = { objects: ObjectBindings; clock: Clock };

/**
 * Commits bytes that are stored and verified. `session` is the upload session that this ends.
 *
 * Errors: `BLOB_UPLOAD_UNKNOWN` if the session has ended in another way, or the bytes will be deleted.
 *
 * @throws Unreachable if an object cannot be reached; nothing is lost, and the commit may be repeated.
 */
export async function commitBlob(
  committer: Committer,
  repository: RepositoryName,
  blob: VerifiedBytes,
  session: string,
  origin: Origin,
): Promise<Result> {
  return linkAdopted(committer, repository, { session, origin }, async () => {
    const outcome = await adoptBytes(committer.objects, blob, repository);
    return outcome.ok ? outcome.adoption : undefined;
  });
}

/**
 * Commits bytes that were fetched from an upstream and verified. `born`: which repository they were fetched for; if it
 * was deleted meanwhile, they are not linked. The answer says where the bytes of the digest are now: perhaps under
 * another key than was given, and then the given one is deleted.
 *
 * @throws Unreachable if an object cannot be reached; nothing is lost, and the commit may be repeated.
 */
export async function commitFetched(
  committer: Committer,
  repository: RepositoryName,
  blob: VerifiedBytes,
  born: number,
  origin: Origin,
): Promise<{ location: BlobLocation; isLinked: boolean }> {
  const { digest, key, sizeBytes } = blob;
  let location: BlobLocation = { digest, key, sizeBytes };
  const { ok: isLinked } = await linkAdopted(committer, repository, { origin, born }, async () => {
    const outcome = await adoptBytes(committer.objects, blob, repository);
    if (!outcome.ok) return undefined;
    const { lease: _, leaseUntil: __, ...adopted } = outcome.adoption;
    location = adopted;
    return outcome.adoption;
  });
  return { location, isLinked };
}

/**
 * Mounts a digest that is stored and linked in `from` into another repository. `born`: it is a cached one, and must still
 * be this one.
 *
 * Errors: `BLOB_UNKNOWN` if no bytes of this digest are stored.
 */
export async function commitMount(
  committer: Committer,
  repository: RepositoryName,
  digest: Digest,
  from: RepositoryName,
  origin: Origin,
  born?: number,
): Promise<Result> {
  const how = { from, origin, ...(born === undefined ? {} : { born }) };
  return linkAdopted(committer, repository, how, () =>
    shardStub(committer.objects, digest).lease(digest, repository),
  );
}

/**
 * Whether a blob that was committed is still in the repository. If so, its grace is renewed, as a client that repeats a
 * push relies on it.
 *
 * @throws Unreachable if the ledger cannot be reached.
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
  how: Pick<LinkRequest, "session" | "from" | "origin" | "born">,
  adopt: () => Promise<Adoption | undefined>,
): Promise<Result> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const adoption = await adopt();
    if (adoption === undefined)
      return failure(how.session === undefined ? "BLOB_UNKNOWN" : "BLOB_UPLOAD_UNKNOWN");
    const outcome = await writeToLedger(
      objects,
      repository,
      (registration) =>
        repositoryStub(objects, repository).linkBlob({ repository, adoption, registration, ...how }),
      (answer) => answer === "unfounded",
    );
    switch (outcome) {
      case "linked":
        // A new link is safe from collection for a lease. After that, the blob may have been collected: link it again.
        if (clock.now() < adoption.leaseUntil) return { ok: true };
        break;
      case "session-closed":
        return failure("BLOB_UPLOAD_UNKNOWN");
      case "changed":
        return failure("BLOB_UNKNOWN");
      case "read-only":
        return failure("UPSTREAM_READ_ONLY");
      case "full":
        return failure("REPOSITORY_FULL");
      case "lease-ended":
      case "unfounded":
    }
  }
  throw new Unreachable(`linking took longer than the lease, ${attempts} times`);
}
