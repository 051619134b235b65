/**
 * The repositories that hold a digest. Each gets a lease, during which it may link the digest. Later it is asked
 * whether it did, and again after it reports that it has unlinked the digest.
 *
 * A repository answers about leases, by their numbers. With a "no" it guarantees that it will never link on that lease,
 * however late the link or the answer arrives. So no clock decides who is dropped.
 */

import { log } from "../../log.ts";
import { fixedPrefix, matchesPatternSets, type PatternSets } from "../../oci/grant.ts";
import type { Digest, RepositoryName } from "../../oci/reference.ts";
import type { Adoption, NumberedLease } from "../../rpc/blob-shard-api.ts";
import { repositoryStub } from "../../rpc/stubs.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import type { Tx } from "../sql.ts";
import { dropJob } from "./deletion.ts";
import type { ShardParts } from "./parts.ts";
import type { ShardStore } from "./store.ts";

/**
 * When to ask a holder whose lease ends at a time. Nearly all have linked by then, and those that did not can wait. So
 * all leases that end within sixty times the length of one are asked about together, by one alarm. It is always later than
 * the end of the lease: a holder that reports that it may have left is asked exactly then.
 */
export function askTime({ settings }: ShardParts, leasedUntil: number): number {
  const slotMs = 60 * settings.leaseMs;
  return Math.floor(leasedUntil / slotMs + 1) * slotMs;
}

/**
 * Gives a repository a lease: time to link. It is told an earlier end than the one that is kept, because clocks differ,
 * so that it is not asked while it may still link.
 */
export function grantLease(
  tx: Tx,
  shard: ShardParts,
  blob: BlobLocation,
  repository: RepositoryName,
): Adoption {
  const { store, due, clock, settings } = shard;
  const now = clock.now();
  const leasedUntil = now + settings.leaseMs;
  const lease = store.hold(
    tx,
    blob.digest,
    repository,
    { leasedUntil, askAt: askTime(shard, leasedUntil) },
    now,
  );
  due.clear(tx, dropJob, blob.digest);
  return { ...blob, lease, leaseUntil: now + settings.leaseMs * 0.8 };
}

/** How many holders of a digest are looked at to find one that a caller may mount it from. */
const maxLookedAt = 1000;

/**
 * A holder of a digest that matches a pattern of each set, if one is found soon: if possible one that has not reported
 * that it may have left, and not `target`.
 */
export function findMountSource(
  store: ShardStore,
  digest: Digest,
  patternSets: PatternSets,
  target: RepositoryName,
  now: number,
): RepositoryName | undefined {
  // Each holder is looked at only if it begins as a pattern of the smallest set does.
  const [narrowest = []] = patternSets.toSorted((one, other) => one.length - other.length);
  let left = maxLookedAt;
  let found: RepositoryName | undefined;
  for (const prefix of new Set(narrowest.map(fixedPrefix))) {
    for (const { repository, mayHaveLeft } of store.holdersFrom(digest, prefix, left, now)) {
      left--;
      if (!matchesPatternSets(patternSets, repository)) continue;
      if (mayHaveLeft === 0 && repository !== target) return repository;
      if (mayHaveLeft === 0 || found === undefined) found = repository;
    }
    if (left === 0) break;
  }
  return found;
}

/** Schedules a question to a holder for the end of its lease. Answers to earlier questions are ignored. */
export function askAgain(
  tx: Tx,
  { store, clock }: ShardParts,
  digest: Digest,
  repository: RepositoryName,
): void {
  const holder = store.holder(digest, repository);
  if (holder === undefined) return;
  store.touchHolder(tx, digest, repository, Math.max(clock.now(), holder.leasedUntil));
}

/** Schedules a question to a holder, unless one is scheduled already; then it returns false. */
export function askUnasked(
  tx: Tx,
  { store, clock }: ShardParts,
  digest: Digest,
  repository: RepositoryName,
): boolean {
  const holder = store.holder(digest, repository);
  if (holder === undefined || holder.askAt !== null) return false;
  store.askHolder(tx, digest, repository, clock.now());
  return true;
}

/** Asks holders whether they hold a digest, and drops those that say no. */
export async function askHolders(shard: ShardParts, rows: DueRow<HolderId>[]): Promise<void> {
  for (const [repository, group] of Map.groupBy(rows, (row) => parseHolderId(row.id).repository)) {
    const asked = shard.transaction((tx) => group.flatMap((row) => toAsk(tx, shard, row)));
    if (asked.length === 0) continue;
    try {
      const { voided } = await repositoryStub(shard.env, repository).holds(repository, asked);
      // During a deployment a ledger may be of an earlier release, whose answer guarantees nothing.
      if (!Array.isArray(voided)) throw new TypeError("the ledger is of an earlier release");
      const unlinked = new Set(voided);
      shard.transaction((tx) => {
        for (const holder of asked) settleHolder(tx, shard, repository, holder, unlinked.has(holder.digest));
      });
    } catch (error) {
      // The rows of this repository are postponed; those of others go on.
      log("warn", "holder not asked", { repository, error: String(error) });
    }
  }
}

/** The holder of a row, if it exists and its lease has ended. */
function toAsk(tx: Tx, { store, clock }: ShardParts, { id }: DueRow<HolderId>): NumberedLease[] {
  const { digest, repository } = parseHolderId(id);
  const holder = store.holder(digest, repository);
  if (holder === undefined) return [];
  if (holder.leasedUntil <= clock.now()) return [{ digest, lease: holder.version }];
  store.askHolder(tx, digest, repository, holder.leasedUntil);
  return [];
}

/** Keeps or drops a holder, according to its answer about the lease. */
function settleHolder(
  tx: Tx,
  { store, due, clock, settings }: ShardParts,
  repository: RepositoryName,
  { digest, lease }: NumberedLease,
  isUnlinked: boolean,
): void {
  // If it was changed meanwhile, it already has a new time.
  if (store.holder(digest, repository)?.version !== lease) return;
  if (!isUnlinked) {
    store.askHolder(tx, digest, repository, null);
    return;
  }
  store.dropHolder(tx, digest, repository);
  if (store.holders(digest, 1).length > 0) return;
  // Until then whoever is late with a verified push of it, or pushes it anew, finds its bytes.
  due.set(tx, dropJob, digest, clock.now() + settings.deleteDelayMs);
}

/** The id of a `holder` row: a digest and the repository that holds it. Its parts are those of a row of the shard. */
export type HolderId = `${Digest} ${RepositoryName}`;

function parseHolderId(id: HolderId): { digest: Digest; repository: RepositoryName } {
  const space = id.indexOf(" ");
  return { digest: id.slice(0, space) as Digest, repository: id.slice(space + 1) as RepositoryName };
}
