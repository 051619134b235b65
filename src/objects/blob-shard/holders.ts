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
import type { Adoption, NumberedLease } from "../blob-shard-api.ts";
import type { DueRow } from "../due.ts";
import { repositoryStub } from "../stubs.ts";
import { dropJob } from "./deletion.ts";
import type { ShardParts } from "./parts.ts";

/**
 * When a holder is asked whose lease ends at a time. Nearly all have linked by then, and a push that did not can wait:
 * so all leases that end within sixty times the length of one are asked about at once, by one alarm.
 */
export function askTime({ settings }: ShardParts, leasedUntil: number): number {
  const slotMs = 60 * settings.leaseMs;
  return Math.ceil(leasedUntil / slotMs) * slotMs;
}

/**
 * Gives a repository time to link. What it is told ends earlier than what is kept, as clocks differ, so that it is not
 * asked while it may still link. In the caller's transaction.
 */
export function lend(shard: ShardParts, blob: BlobLocation, repository: RepositoryName): Adoption {
  const { store, due, clock, settings } = shard;
  const now = clock.now();
  const leasedUntil = now + settings.leaseMs;
  const lease = store.hold(blob.digest, repository, { leasedUntil, askAt: askTime(shard, leasedUntil) }, now);
  due.clear(dropJob, blob.digest);
  return { ...blob, lease, leaseUntil: now + settings.leaseMs * 0.8 };
}

/**
 * Lets a holder be asked, once its lease has ended. Answers to what it was asked before count for nothing. In the
 * caller's transaction.
 */
export function askAgain({ store, clock }: ShardParts, digest: string, repository: RepositoryName): void {
  const holder = store.holder(digest, repository);
  if (holder === undefined) return;
  store.touchHolder(digest, repository, Math.max(clock.now(), holder.leasedUntil));
}

/** Lets a holder be asked that nothing asks otherwise. Returns false where it will be asked anyway. */
export function askUnasked(
  { store, clock }: ShardParts,
  digest: Digest,
  repository: RepositoryName,
): boolean {
  const holder = store.holder(digest, repository);
  if (holder === undefined || holder.askAt !== null) return false;
  store.askHolder(digest, repository, clock.now());
  return true;
}

/** Asks holders whether they hold a digest, and drops those that say no. */
export async function askHolders(shard: ShardParts, rows: DueRow[]): Promise<void> {
  for (const [repository, group] of Map.groupBy(rows, (row) => parseHolderId(row.id).repository)) {
    const asked = shard.transaction(() => group.flatMap((row) => toAsk(shard, row)));
    if (asked.length === 0) continue;
    try {
      const { voided } = await repositoryStub(shard.env, repository).holds(repository, asked);
      // That of an earlier release, while a deployment goes on, promises nothing.
      if (!Array.isArray(voided)) throw new TypeError("the ledger promises nothing yet");
      const givenUp = new Set(voided);
      shard.transaction(() => {
        for (const holder of asked) settle(shard, repository, holder, givenUp.has(holder.digest));
      });
    } catch (error) {
      // They are postponed; the other repositories' go on.
      console.warn(JSON.stringify({ event: "holder not asked", repository, error: String(error) }));
    }
  }
}

/** The holder of a row, if it is there to be asked, and may not link any more on what it was lent. */
function toAsk({ store, clock }: ShardParts, { id }: DueRow): NumberedLease[] {
  const { digest, repository } = parseHolderId(id);
  const holder = store.holder(digest, repository);
  if (holder === undefined) return [];
  if (holder.leasedUntil <= clock.now()) return [{ digest, lease: holder.version }];
  store.askHolder(digest, repository, holder.leasedUntil);
  return [];
}

function settle(
  { store, due, clock, settings }: ShardParts,
  repository: RepositoryName,
  { digest, lease }: NumberedLease,
  isGivenUp: boolean,
): void {
  // Who changed it meanwhile has also said when it is due.
  if (store.holder(digest, repository)?.version !== lease) return;
  if (!isGivenUp) {
    store.askHolder(digest, repository, null);
    return;
  }
  store.dropHolder(digest, repository);
  if (store.holders(digest, 1).length > 0) return;
  // Until then whoever is late with a verified push of it, or pushes it anew, finds its bytes.
  due.set(dropJob, digest, clock.now() + settings.deleteDelayMs);
}

function parseHolderId(id: string): { digest: Digest; repository: RepositoryName } {
  const [digest, repository] = id.split(" ");
  return { digest: digest as Digest, repository: repository as RepositoryName };
}
