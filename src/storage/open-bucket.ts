/** Opens the Worker's bucket: R2, or the disk of the machine that it runs on. */
import type { Env } from "../bindings.ts";
import { type Bucket, R2BlobBucket } from "./bucket.ts";
import { DiskBucket } from "./disk-bucket.ts";
import { openDiskSpace } from "./disk-space.ts";
import { openFsyncService } from "./fsync.ts";

/** The bucket of these bindings; only the local server binds a disk. */
export function openBucket(env: Env): Bucket {
  const { BLOBS, BLOB_FILES: files } = env;
  const fsync = openFsyncService(env);
  if (files === undefined || fsync === undefined) return new R2BlobBucket(BLOBS);
  return new DiskBucket(files, fsync, openDiskSpace(env));
}
