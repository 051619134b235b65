/** What the data directory of a server holds of blobs. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { foldersOf } from "../../../src/local/data-layout.ts";

async function fileBytes(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  // The list of a blob's parts is no part of it. What is gone was deleted meanwhile.
  const files = names.filter((name) => name !== "index").map((name) => join(directory, name));
  const sizes = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return sizes.reduce((sum, stats) => sum + (stats?.isFile() ? stats.size : 0), 0);
}

/** Sizes of the blobs in a bucket on disk, in ascending order, with what is being written. */
export async function storedObjectBytes(data: string): Promise<number[]> {
  const blobs = join(foldersOf(data).files, "blobs");
  const keys = await readdir(blobs).catch(() => []);
  const sizes = await Promise.all(keys.map((key) => fileBytes(join(blobs, key))));
  return sizes.sort((a, b) => a - b);
}

/** How many bytes the bucket takes on disk, those of unfinished uploads and of what is being written included. */
export async function bucketDiskBytes(data: string): Promise<number> {
  return (await storedObjectBytes(data)).reduce((sum, size) => sum + size, 0);
}
