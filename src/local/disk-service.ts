/**
 * What the blob store of one machine (storage/disk-bucket.ts) needs beside workerd's disk service, which moves the bytes:
 * to make files survive a power cut, and to tell those that were written whole.
 */
import { open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { StoredPage } from "../storage/bucket.ts";
import type { SettleRequest } from "../storage/disk-bucket.ts";

/** What the Worker asks, and what it is told: HTTP, without what nobody reads of it. */
export interface DiskRequest {
  method: string;
  query: URLSearchParams;
  body: string;
}
export interface DiskAnswer {
  status: number;
  body?: string;
}

/**
 * Answers a request of the blob store.
 *
 * @param directory where the files are
 */
export async function askDisk(directory: string, { method, query, body }: DiskRequest): Promise<DiskAnswer> {
  if (method === "POST") {
    const isSettled = await settle(directory, JSON.parse(body) as SettleRequest);
    return { status: isSettled ? 204 : 404 };
  }
  const page = await listKeys(directory, query.get("after") ?? "", Number(query.get("limit")));
  return { status: 200, body: JSON.stringify(page) };
}

/** The keys after one of them, in order, each with the time at which its folder got its last file. */
async function listKeys(directory: string, after: string, limit: number): Promise<StoredPage> {
  const blobs = await readdir(join(directory, "blobs")).catch(ignoreMissing<string[]>([]));
  const keys = blobs.map((name) => `blobs/${name}`).filter((key) => key > after);
  const page = keys.sort().slice(0, limit);
  const objects = [];
  for (const key of page) {
    const stats = await stat(join(directory, key)).catch(ignoreMissing(undefined));
    if (stats !== undefined) objects.push({ key, storedAtMs: Math.floor(stats.mtimeMs) });
  }
  return { objects, cursor: keys.length > page.length ? page.at(-1) : undefined };
}

/** What stands for a file that is not there; for whatever else is wrong, there is nothing. */
function ignoreMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT") return value;
    throw error;
  };
}

/** The directories whose own folder of blobs survives a power cut. */
const lasting = new Set<string>();

/**
 * Makes files last: when this returns, they and their names survive a power cut.
 *
 * @returns false if one is not there, or has another size; then nothing is deleted
 */
async function settle(directory: string, { folder, files, isAll }: SettleRequest): Promise<boolean> {
  const path = join(directory, folder);
  for (const { name, sizeBytes } of files) {
    if (!(await syncFile(join(path, name), sizeBytes))) return false;
  }
  if (isAll) await deleteOthers(path, new Set(files.map((file) => file.name)));
  // The names of the files, and of the folder; the folder that all are in has its name from the first of them on.
  await syncDirectory(path);
  await syncDirectory(dirname(path));
  if (!lasting.has(directory)) await syncDirectory(directory);
  lasting.add(directory);
  return true;
}

async function syncFile(path: string, sizeBytes: number): Promise<boolean> {
  try {
    await using file = await open(path, "r+");
    if ((await file.stat()).size !== sizeBytes) return false;
    await file.datasync();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Deletes what workerd began and was killed in, which it hides from its own clients, among all else. */
async function deleteOthers(path: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(path)) {
    if (!names.has(name)) await rm(join(path, name), { force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  // Windows keeps names by itself, and opens no directories.
  if (process.platform === "win32") return;
  await using directory = await open(path, "r");
  await directory.sync();
}
