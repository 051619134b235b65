/**
 * How a data directory is laid out: where it has its blobs, in files (storage/disk-bucket.ts) or in Miniflare's R2, as
 * all had them before there were files; and between how many shards its digests are divided. Both are chosen once and
 * written down, as what is in one place is not in the other.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isShardCount, maxBlobShards } from "../env.ts";

/** Where blobs are kept. */
export const bucketKinds = ["disk", "r2"] as const;
export type BucketKind = (typeof bucketKinds)[number];

/** How a data directory is laid out. */
export type Layout = { bucket: BucketKind; blobShards: number };

/**
 * How many shards a new data directory has. All objects share one thread and one disk, so that several would do nothing
 * at the same time: one does the same with fewer files to sync, and what several pushes write at once is one sync.
 */
const newShards = 1;

/** A data directory has its blobs elsewhere than was asked for; the message says where. */
export class BucketKindError extends Error {
  override name = "BucketKindError";
}

/** Where a data directory has the files of its blobs. */
export function filesDirectory(dataDirectory: string): string {
  return join(dataDirectory, "files");
}

/** Whether this is the name of a kind. */
export function isBucketKind(text: string): text is BucketKind {
  return bucketKinds.some((kind) => kind === text);
}

/**
 * How this data directory is laid out. A new one has its blobs where it is `asked` for, or else on disk, and few shards,
 * which is written down. The number of shards stands after the bucket, so that earlier releases, which know of no such
 * number, refuse the directory: they would not find its digests, and take its bytes for strays.
 *
 * @throws BucketKindError if the blobs are elsewhere
 */
export function settleLayout(dataDirectory: string, asked: BucketKind | undefined): Layout {
  const file = join(dataDirectory, "bucket");
  const present = layoutOf(dataDirectory, file);
  if (present === undefined) {
    const chosen = { bucket: asked ?? "disk", blobShards: newShards };
    writeFileSync(file, `${chosen.bucket} shards=${chosen.blobShards}\n`);
    return chosen;
  }
  if (asked === undefined || asked === present.bucket) return present;
  throw new BucketKindError(
    `the data directory ${dataDirectory} has its blobs in the bucket ${present.bucket}, and --bucket ${asked} would not find them`,
  );
}

function layoutOf(dataDirectory: string, file: string): Layout | undefined {
  if (!existsSync(file)) {
    const bucket = bucketOf(dataDirectory);
    return bucket && { bucket, blobShards: maxBlobShards };
  }
  const [, bucket = "", shards = String(maxBlobShards)] =
    /^(\w+)(?: shards=(\d+))?$/.exec(readFileSync(file, "utf8").trim()) ?? [];
  const blobShards = Number(shards);
  if (isBucketKind(bucket) && isShardCount(blobShards)) return { bucket, blobShards };
  throw new BucketKindError(`the file ${file} must say where the blobs are: ${bucketKinds.join(" or ")}`);
}

/** Where the blobs are in a data directory that does not say it. */
function bucketOf(dataDirectory: string): BucketKind | undefined {
  if (existsSync(filesDirectory(dataDirectory))) return "disk";
  return existsSync(join(dataDirectory, "r2")) ? "r2" : undefined;
}
