/**
 * A shard's part of a scrub: the bytes of its digests, and whether their holders agree with it. A digest that is wrong,
 * or that cannot be checked, does not keep others from being checked.
 */
import type { RepositoryName } from "../../oci/reference.ts";
import { emptyReport, type ScrubReport, type ScrubStep } from "../../rpc/scrub-report.ts";
import { repositoryStub } from "../../rpc/stubs.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { examine } from "./faults.ts";
import { askUnasked } from "./holders.ts";
import type { ShardParts } from "./parts.ts";

/** A piece of a scrub is over after this many digests, or bytes. */
const maxDigests = 32;
const maxBytes = 256 * 1024 * 1024;

/** The most holders of a digest that are asked. */
const maxHolders = 1000;

/** Checks the digests after one. It decides nothing: if a holder seems wrong, its ledger is asked. */
export async function scrubDigests(shard: ShardParts, after: string): Promise<ScrubStep> {
  const report = emptyReport();
  const blobs = shard.store.page(after, maxDigests);
  let next = blobs.length === maxDigests ? blobs.at(-1)?.digest : undefined;
  for (const blob of blobs) {
    await scrubDigest(shard, blob, report);
    if (report.checked.bytes < maxBytes || blob.digest === blobs.at(-1)?.digest) continue;
    next = blob.digest;
    break;
  }
  return { report, next };
}

async function scrubDigest(shard: ShardParts, blob: BlobLocation, report: ScrubReport): Promise<void> {
  const { store } = shard;
  const fault = await examine(shard, blob);
  // If the digest got other bytes or went away meanwhile, there is nothing to report.
  if (store.blob(blob.digest)?.key !== blob.key) return;
  report.checked.blobs++;
  report.checked.bytes += blob.sizeBytes;
  if (fault !== undefined) {
    report.problems.push({ what: "blob bytes", digest: blob.digest, key: blob.key, detail: fault });
  }
  for (const repository of store.holders(blob.digest, maxHolders)) {
    try {
      await scrubHolder(shard, blob, repository, fault === undefined, report);
    } catch (error) {
      report.unchecked.push({ what: "holder", repository, digest: blob.digest, detail: String(error) });
    }
  }
}

async function scrubHolder(
  shard: ShardParts,
  blob: BlobLocation,
  repository: RepositoryName,
  isGood: boolean,
  report: ScrubReport,
): Promise<void> {
  const ledger = repositoryStub(shard.env, repository);
  const { digest } = blob;
  const linked = await ledger.locateBlob(digest, false);
  const finding = { repository, digest, key: blob.key };
  if (linked === undefined) {
    // A repository that was deleted can be restored for a while.
    if (await ledger.keepsBlob(digest)) return;
    if (shard.transaction((tx) => askUnasked(tx, shard, digest, repository))) {
      report.repaired.push({ ...finding, what: "holder", detail: "the repository does not link the blob" });
    }
  } else if (linked.key !== blob.key && isGood && shard.store.blob(digest)?.key === blob.key) {
    await ledger.relocateBlob(blob);
    report.repaired.push({ ...finding, what: "location", detail: `the ledger had ${linked.key}` });
  }
}
