/**
 * Which repositories hold a digest: each gets a lease, in which it may link the digest, and is asked later whether it
 * did, and once it has said that it gave the digest up.
 *
 * What a repository says counts for the leases that it was asked about, by their numbers. With "no" it promises to link
 * on none of them any more, however late that link or this answer comes. So no clock decides who is dropped.
 */
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { Adoption, NumberedLease } from "../blobs-api.ts";
import type { DueRow } from "../due.ts";
import { repositoryStub } from "../stubs.ts";
import { dropJob } from "./deletion.ts";
import type { ShardParts } from "./parts.ts";

/** The job of the `due` table that asks a holder. */
export const holderJob = "holder";

/**
 * Gives a repository time to link. What it is told ends earlier than what is kept, as clocks differ, so that it is not
 * asked while it may still link. In the caller's transaction.
 */
export function lend(
  { store, due, clock, settings }: ShardParts,
  blob: BlobLocation,
  repository: RepositoryName,
): Adoption {
  const now = clock.now();
  const askAfter = now + settings.leaseMs;
  const lease = store.hold(blob.digest, repository, askAfter, now);
  due.set(holderJob, holderId(blob.digest, repository), askAfter);
  due.clear(dropJob, blob.digest);
  return { ...blob, lease, leaseUntil: now + settings.leaseMs * 0.8 };
}

/**
 * Lets a holder be asked, once its lease has ended. Answers to what it was asked before count for nothing. In the
 * caller's transaction.
 */
export function askAgain(
  { store, due, clock }: ShardParts,
  digest: string,
  repository: RepositoryName,
): void {
  const holder = store.holder(digest, repository);
  if (holder === undefined) return;
  store.touchHolder(digest, repository);
  due.set(holderJob, holderId(digest, repository), Math.max(clock.now(), holder.askAfter));
}

/** Lets a holder be asked that nothing asks otherwise. Returns false where it will be asked anyway. */
export function askUnasked({ due, clock }: ShardParts, digest: Digest, repository: RepositoryName): boolean {
  const id = holderId(digest, repository);
  if (due.at(holderJob, id) !== undefined) return false;
  due.set(holderJob, id, clock.now());
  return true;
}

/** When the last of the leases ends on which a holder is asked next; 0 where it is asked about none. */
export function leasedUntil({ due, settings }: ShardParts): number {
  return due.lastWithin(holderJob, settings.leaseMs);
}

/** A holder that is asked about its newest lease, and its row in the `due` table. */
type AskedHolder = NumberedLease & { id: string };

/** Asks holders whether they hold a digest, and drops those that say no. */
export async function askHolders(shard: ShardParts, rows: DueRow[]): Promise<void> {
  for (const [repository, group] of Map.groupBy(rows, (row) => parseHolderId(row.id).repository)) {
    const asked = shard.transaction(() => group.flatMap((row) => toAsk(shard, row)));
    if (asked.length === 0) continue;
    try {
      const leases = asked.map(({ digest, lease }) => ({ digest, lease }));
      const { voided } = await repositoryStub(shard.env, repository).holds(repository, leases);
      // That of an earlier release, while a deployment goes on, promises nothing.
      if (!Array.isArray(voided)) throw new TypeError("the ledger promises nothing yet");
      const givenUp = new Set(voided);
      shard.transaction(() => {
        for (const holder of asked) settle(shard, repository, holder, givenUp.has(holder.digest));
      });
    } catch (error) {
      // Its rows stay and are postponed; the other repositories' go on.
      console.warn(JSON.stringify({ event: "holder not asked", repository, error: String(error) }));
    }
  }
}

/** The holder of a row, if it is there to be asked, and may not link any more on what it was lent. */
function toAsk({ store, due, clock }: ShardParts, { id }: DueRow): AskedHolder[] {
  const { digest, repository } = parseHolderId(id);
  const holder = store.holder(digest, repository);
  if (holder === undefined) due.clear(holderJob, id);
  else if (holder.askAfter > clock.now()) due.set(holderJob, id, holder.askAfter);
  else return [{ id, digest, lease: holder.version }];
  return [];
}

function settle(
  { store, due, clock, settings }: ShardParts,
  repository: RepositoryName,
  { id, digest, lease }: AskedHolder,
  isGivenUp: boolean,
): void {
  // Who changed it meanwhile has also said when it is due.
  if (store.holder(digest, repository)?.version !== lease) return;
  due.clear(holderJob, id);
  if (!isGivenUp) return;
  store.dropHolder(digest, repository);
  if (store.holders(digest, 1).length > 0) return;
  // Until then whoever is late with a verified push of it, or pushes it anew, finds its bytes.
  due.set(dropJob, digest, clock.now() + settings.deleteDelayMs);
}

function holderId(digest: string, repository: string): string {
  return `${digest} ${repository}`;
}

function parseHolderId(id: string): { digest: Digest; repository: RepositoryName } {
  const [digest, repository] = id.split(" ");
  return { digest: digest as Digest, repository: repository as RepositoryName };
}
