/**
 * A shard's part of a scrub: the bytes of its digests, and whether their holders agree with it. A digest that is wrong,
 * or that cannot be checked, does not keep others from being checked.
 */
import type { RepositoryName } from "../../oci/reference.ts";
import { emptyReport, type ScrubReport, type ScrubStep } from "../../rpc/scrub-report.ts";
import { repositoryStub } from "../../rpc/stubs.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { segmentBytes } from "../running-hash.ts";
import { areSegmentsOf, segmentCount } from "../scrub/verify.ts";
import { examine, examineSegment } from "./faults.ts";
import { askUnasked } from "./holders.ts";
import type { ShardParts } from "./parts.ts";

/** A piece of a scrub is over after this many digests, or bytes. */
const maxDigests = 32;
const maxBytes = segmentBytes;

/** The most holders of a digest that are asked. */
const maxHolders = 1000;

/**
 * Where a piece begins: after a digest, or within a large one, at a segment whose number follows this character. Digests
 * and cursors of the API have no such character.
 */
const within = "@";

/**
 * Checks the digests after one, or goes on within one. It decides nothing: if a holder seems wrong, its ledger is asked.
 */
export async function scrubDigests(shard: ShardParts, after: string): Promise<ScrubStep> {
  const report = emptyReport();
  const [last = "", segment] = after.split(within);
  const begun = segment === undefined ? undefined : shard.store.blob(last);
  const page = shard.store.page(last, maxDigests);
  let first = begun === undefined ? 0 : Number(segment);
  for (const blob of begun === undefined ? page : [begun, ...page]) {
    const leftAt = await scrubDigest(shard, blob, first, report);
    first = 0;
    if (leftAt !== undefined) return { report, next: `${blob.digest}${within}${leftAt}` };
    const isLast = page.length < maxDigests && blob.digest === (page.at(-1) ?? begun)?.digest;
    if (report.checked.bytes >= maxBytes && !isLast) return { report, next: blob.digest };
  }
  return { report, next: page.length === maxDigests ? page.at(-1)?.digest : undefined };
}

/** Checks a digest, or segments of it from one on. Returns where to go on in it; `undefined` if it is done. */
async function scrubDigest(
  shard: ShardParts,
  blob: BlobLocation,
  first: number,
  report: ScrubReport,
): Promise<number | undefined> {
  const { store } = shard;
  const segments = store.segments(blob.key);
  let fault: string | undefined;
  if (segments === undefined || !areSegmentsOf(blob, segments)) {
    fault = await examine(shard, blob);
    report.checked.bytes += blob.sizeBytes;
  } else {
    for (let index = first; index < segmentCount(blob) && fault === undefined; index++) {
      if (report.checked.bytes >= maxBytes) return index;
      fault = await examineSegment(shard, blob, segments, index);
      report.checked.bytes += Math.min(segmentBytes, blob.sizeBytes - index * segmentBytes);
    }
  }
  // If the digest got other bytes or went away meanwhile, there is nothing to report.
  if (store.blob(blob.digest)?.key !== blob.key) return undefined;
  report.checked.blobs++;
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
  return undefined;
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
