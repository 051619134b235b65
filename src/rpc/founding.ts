/**
 * Writes that may create an object. What exists is listed before it exists: the names of ledgers in the index of names,
 * shards in the catalog. So an object that does not exist yet refuses the first write, and accepts it once it is
 * listed. Writes to objects that exist need no further call.
 */
import type { Rejection, Result } from "../oci/errors.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import type { AdoptionOutcome, BlobShardApi, VerifiedBytes } from "./blob-shard-api.ts";
import type { NewManifest, PutOutcome } from "./ledger-writes.ts";
import {
  catalogStub,
  namedShardStub,
  nameIndexStub,
  type ObjectBindings,
  repositoryStub,
  shardOf,
  Unreachable,
} from "./stubs.ts";

/** How often a name is registered for one write: a registration that arrives late no longer counts. */
const attempts = 3;

/**
 * Writes to a ledger. If it does not exist, its name is registered, and the write is repeated.
 *
 * @throws Unreachable if an object cannot be reached, or the ledger accepts no registration.
 */
export async function writeToLedger<T>(
  objects: ObjectBindings,
  repository: RepositoryName,
  write: (registration: number | null) => Promise<T>,
  isUnfounded: (answer: T) => boolean,
): Promise<T> {
  let answer = await write(null);
  for (let attempt = 0; attempt < attempts && isUnfounded(answer); attempt++) {
    answer = await write(await nameIndexStub(objects, repository).register(repository, false));
  }
  if (isUnfounded(answer)) throw new Unreachable("the ledger accepts no registration of its name");
  return answer;
}

/**
 * Stores a manifest; see {@link NewManifest}.
 *
 * @throws Unreachable if an object cannot be reached, or the ledger accepts no registration.
 */
export async function putManifest(objects: ObjectBindings, put: NewManifest): Promise<Result> {
  const { repository } = put;
  const write = (registration: number | null) =>
    repositoryStub(objects, repository).putManifest({ ...put, registration });
  const outcome = await writeToLedger(objects, repository, write, isUnfounded);
  if (isUnfounded(outcome)) throw new TypeError("the manifest was stored nowhere");
  return outcome;
}

function isUnfounded(outcome: PutOutcome): outcome is Rejection<"unfounded"> {
  return !outcome.ok && "reason" in outcome;
}

/**
 * Schedules the deletion of a key that is about to be written; see `doom` in {@link BlobShardApi}.
 *
 * @throws Unreachable if the shard or the catalog cannot be reached.
 */
export async function scheduleDeletion(
  objects: ObjectBindings,
  digest: Digest,
  key: string,
  deleteAt: number,
): Promise<void> {
  const doom: ShardWrite<"unlisted" | undefined> = (shard, isListed) =>
    shard.doom(digest, key, deleteAt, isListed);
  await writeToShard(objects, digest, doom, (answer) => answer === "unlisted");
}

/**
 * Has the shard of a digest adopt written bytes; see `adopt` in {@link BlobShardApi}.
 *
 * @throws Unreachable if the shard or the catalog cannot be reached.
 */
export function adoptBytes(
  objects: ObjectBindings,
  blob: VerifiedBytes,
  repository: RepositoryName,
): Promise<AdoptionOutcome> {
  const adopt: ShardWrite<AdoptionOutcome> = (shard, isListed) => shard.adopt(blob, repository, isListed);
  return writeToShard(objects, blob.digest, adopt, (answer) => !answer.ok && answer.reason === "unlisted");
}

type ShardWrite<T> = (shard: BlobShardApi, isListed: boolean) => Promise<T>;

/** Writes to the shard of a digest. If it does not exist, it is listed, and the write is repeated. */
async function writeToShard<T>(
  objects: ObjectBindings,
  digest: Digest,
  write: ShardWrite<T>,
  isUnlisted: (answer: T) => boolean,
): Promise<T> {
  const name = shardOf(objects, digest);
  const answer = await write(namedShardStub(objects, name), false);
  if (!isUnlisted(answer)) return answer;
  await catalogStub(objects).addShard(name);
  return write(namedShardStub(objects, name), true);
}
