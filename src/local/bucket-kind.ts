/**
 * Where a data directory has its blobs: in files (storage/disk-bucket.ts), or in Miniflare's R2, as all had them before
 * there were files. The choice is made once and written down, as what is in one is not in the other.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where blobs are kept. */
export const bucketKinds = ["disk", "r2"] as const;
export type BucketKind = (typeof bucketKinds)[number];

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
 * Where this data directory has its blobs. In a new one they are where it is `asked` for, or else on disk, which is
 * written down.
 *
 * @throws BucketKindError if they are elsewhere
 */
export function settleBucketKind(dataDirectory: string, asked: BucketKind | undefined): BucketKind {
  const file = join(dataDirectory, "bucket");
  const present = kindOf(dataDirectory, file);
  if (present === undefined) {
    const chosen = asked ?? "disk";
    writeFileSync(file, `${chosen}\n`);
    return chosen;
  }
  if (asked === undefined || asked === present) return present;
  throw new BucketKindError(
    `the data directory ${dataDirectory} has its blobs in the bucket ${present}, and --bucket ${asked} would not find them`,
  );
}

function kindOf(dataDirectory: string, file: string): BucketKind | undefined {
  if (!existsSync(file)) {
    if (existsSync(filesDirectory(dataDirectory))) return "disk";
    return existsSync(join(dataDirectory, "r2")) ? "r2" : undefined;
  }
  const text = readFileSync(file, "utf8").trim();
  if (isBucketKind(text)) return text;
  throw new BucketKindError(`the file ${file} must say where the blobs are: ${bucketKinds.join(" or ")}`);
}
