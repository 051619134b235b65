/** What the data directory of a server that has ended holds. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { startInstance } from "../../../src/local/instance.ts";

/** The bucket's contents. */
export interface StoredBlobs {
  /** Sizes of the objects in R2, in ascending order. */
  objectBytes: number[];
  /** Bytes of all files that the bucket keeps on disk, those of unfinished uploads included. */
  diskBytes: number;
}

/** Looks into the bucket. */
export async function storedBlobs(data: string): Promise<StoredBlobs> {
  const objectBytes: number[] = [];
  {
    await using instance = await startInstance({ dataDirectory: data });
    const bucket = await instance.miniflare.getR2Bucket("BLOBS");
    let cursor: string | undefined;
    do {
      const page = await bucket.list(cursor === undefined ? {} : { cursor });
      objectBytes.push(...page.objects.map(({ size }) => size));
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
  }
  const directory = join(data, "r2", "BLOBS", "blobs");
  const files = await Promise.all((await readdir(directory)).map((file) => stat(join(directory, file))));
  return {
    objectBytes: objectBytes.sort((a, b) => a - b),
    diskBytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}
