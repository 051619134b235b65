/** What the data directory of a server that has ended holds. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { startInstance } from "../../../src/local/instance.ts";

/** Sizes of the objects in the bucket, in ascending order. The server must have ended. */
export async function storedObjectBytes(data: string): Promise<number[]> {
  await using instance = await startInstance({ dataDirectory: data });
  const bucket = await instance.miniflare.getR2Bucket("BLOBS");
  const sizes: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list(cursor === undefined ? {} : { cursor });
    sizes.push(...page.objects.map(({ size }) => size));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return sizes.sort((a, b) => a - b);
}

/** How many bytes the bucket takes on disk, those of unfinished uploads and of what is being written included. */
export async function bucketDiskBytes(data: string): Promise<number> {
  const directory = join(data, "r2", "BLOBS", "blobs");
  let sum = 0;
  for (const file of await readdir(directory).catch(() => [])) {
    // It may be deleted meanwhile.
    const size = await stat(join(directory, file)).then(
      (stats) => stats.size,
      () => 0,
    );
    sum += size;
  }
  return sum;
}
