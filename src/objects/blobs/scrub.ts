/**
 * A shard's part of a scrub: its digests' bytes, and whether their holders know them as it does.
 */
import type { Env } from "../../env.ts";
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { emptyReport, type ScrubReport, type ScrubStep } from "../scrub/report.ts";
import { faultOf } from "../scrub/verify.ts";
import { repositoryStub } from "../stubs.ts";
import type { BlobsStore } from "./store.ts";

/** A piece of a scrub is over after this many digests, or bytes. */
const maxDigests = 32;
const maxBytes = 256 * 1024 * 1024;

/** The most holders of a digest that are asked. */
const maxHolders = 1000;

/** What the scrub of a shard works with. `askHolder` makes a holder due, so that it is asked and perhaps dropped. */
export type ShardScrub = {
  env: Env;
  store: BlobsStore;
  bucket: Bucket;
  askHolder: (digest: Digest, repository: RepositoryName) => boolean;
};

/** Checks the digests after one. Nothing is decided here: what is wrong with a holder, the ledger is asked about. */
export async function scrubDigests(shard: ShardScrub, after: string): Promise<ScrubStep> {
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

async function scrubDigest(shard: ShardScrub, blob: BlobLocation, report: ScrubReport): Promise<void> {
  const { store, bucket } = shard;
  const fault = await faultOf(bucket, blob);
  // What changed its bytes or went away meanwhile is another matter.
  if (store.blob(blob.digest)?.key !== blob.key) return;
  report.checked.blobs++;
  report.checked.bytes += blob.sizeBytes;
  // The next push of the digest then replaces the bytes, instead of being taken for a duplicate.
  store.setFaulty(blob.digest, fault !== undefined);
  if (fault !== undefined) {
    report.problems.push({ what: "blob bytes", digest: blob.digest, key: blob.key, detail: fault });
  }
  for (const repository of store.holders(blob.digest, maxHolders)) {
    await scrubHolder(shard, blob, repository, fault === undefined, report);
  }
}

async function scrubHolder(
  { env, store, askHolder }: ShardScrub,
  blob: BlobLocation,
  repository: RepositoryName,
  isGood: boolean,
  report: ScrubReport,
): Promise<void> {
  const ledger = repositoryStub(env, repository);
  const { digest } = blob;
  const linked = await ledger.locateBlob(digest, false);
  const finding = { repository, digest, key: blob.key };
  if (linked === undefined) {
    if (askHolder(digest, repository)) {
      report.repaired.push({ ...finding, what: "holder", detail: "the repository does not link the blob" });
    }
  } else if (linked.key !== blob.key && isGood && store.blob(digest)?.key === blob.key) {
    await ledger.relocateBlob(blob);
    report.repaired.push({ ...finding, what: "location", detail: `the ledger had ${linked.key}` });
  }
}
