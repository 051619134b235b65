/** What the data directory of a server holds of blobs. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { foldersOf } from "../../../src/local/data-layout.ts";
import { wholesFolder } from "../../../src/storage/disk-files.ts";

async function fileSizes(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch(() => []);
  // The list of a blob's parts is no part of it. What is gone was deleted meanwhile.
  const files = names.filter((name) => name !== "index").map((name) => join(directory, name));
  const found = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return found.flatMap((stats) => (stats?.isFile() ? [stats.size] : []));
}

function sumOf(sizes: number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Sizes of the blobs in a bucket on disk, in ascending order, with what is being written. */
export async function storedObjectBytes(data: string): Promise<number[]> {
  const { files } = foldersOf(data);
  const blobs = join(files, "blobs");
  const keys = await readdir(blobs).catch(() => []);
  const inParts = await Promise.all(keys.map(async (key) => sumOf(await fileSizes(join(blobs, key)))));
  return [...inParts, ...(await fileSizes(join(files, wholesFolder)))].sort((a, b) => a - b);
}

/** How many bytes the bucket takes on disk, those of unfinished uploads and of what is being written included. */
export async function bucketDiskBytes(data: string): Promise<number> {
  return sumOf(await storedObjectBytes(data));
}
