/**
 * What the blob store of one machine (storage/disk-bucket.ts) needs beside workerd's disk service, which moves the bytes:
 * to make files survive a power cut, and to tell those that were written whole.
 */
import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { StoredPage } from "../storage/bucket.ts";
import { type DiskFile, parseSettleRequest, type SettleRequest } from "../storage/disk-files.ts";
import { measureVolume } from "./free-space.ts";
import { Settled } from "./settled.ts";

const maxKeys = 1000;

/** How many files are synced at once, for one request and for all: descriptors are few, and connections need them. */
const syncsAtOnce = 16;
const openAtOnce = 64;

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
 * What answers the requests of a blob store. POST makes files last ({@link SettleRequest}): 204, or 404 if one is not as
 * it was written. GET, with `after` and `limit`, lists keys ({@link StoredPage}). What is no such request is 400, whoever
 * sends it: no path leads out of the directory.
 *
 * @param directory where the files are
 */
export function openDisk(directory: string): (request: DiskRequest) => Promise<DiskAnswer> {
  const settled = new Settled();
  return async ({ method, query, body }) => {
    if (method === "POST") {
      const request = parseSettleRequest(body);
      if (request === undefined) return { status: 400 };
      return { status: (await settle(directory, request, settled)) ? 204 : 404 };
    }
    if (method === "GET" && query.has("space")) {
      return { status: 200, body: JSON.stringify(await measureVolume(directory)) };
    }
    const limit = Number(query.get("limit"));
    if (method !== "GET" || !Number.isInteger(limit) || limit < 1 || limit > maxKeys) return { status: 400 };
    const page = await listKeys(directory, query.get("after") ?? "", limit);
    return { status: 200, body: JSON.stringify(page) };
  };
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

/**
 * Makes files last: when this returns, they and their names survive a power cut. What is not known to last already is
 * synced at the same time, as nothing counts before all of it is.
 *
 * @returns false if a file is not there, or has another size; then nothing is deleted
 */
async function settle(
  directory: string,
  { folder, files, isAll }: SettleRequest,
  settled: Settled,
): Promise<boolean> {
  const path = join(directory, folder);
  const isFresh = ({ name }: DiskFile) => !settled.hasFile(folder, name);
  const syncs = [
    ...(files.some(isFresh) ? [() => syncDirectory(path)] : []),
    ...(settled.hasFolder(folder) ? [] : [() => syncDirectory(dirname(path))]),
    ...(settled.hasParent ? [] : [() => syncDirectory(directory)]),
    ...files.map((file) => () => syncFile(join(path, file.name), file.sizeBytes, isFresh(file))),
  ];
  for (let start = 0; start < syncs.length; start += syncsAtOnce) {
    const synced = await Promise.all(syncs.slice(start, start + syncsAtOnce).map((sync) => sync()));
    if (synced.includes(false)) return false;
  }
  if (isAll && (await deleteOthers(path, new Set(files.map((file) => file.name))))) await syncDirectory(path);
  settled.add(folder, files);
  return true;
}

/** Makes a file last, if it has this size; one that is not `fresh` lasts already. */
function syncFile(path: string, sizeBytes: number, isFresh: boolean): Promise<boolean> {
  return withOpen(path, "r+", async (file) => {
    if ((await file.stat()).size !== sizeBytes) return false;
    if (isFresh) await file.datasync();
    return true;
  });
}

/** Deletes what workerd began and was killed in, which it hides from its own clients, among all else; whether there was any. */
async function deleteOthers(path: string, names: ReadonlySet<string>): Promise<boolean> {
  const others = (await readdir(path)).filter((name) => !names.has(name));
  for (const name of others) await rm(join(path, name), { force: true });
  return others.length > 0;
}

async function syncDirectory(path: string): Promise<boolean> {
  // Windows keeps names by itself, and opens no directories.
  if (process.platform === "win32") return true;
  return withOpen(path, "r", async (directory) => {
    await directory.sync();
    return true;
  });
}

/** Works on an open file or directory, once there are not too many; false where there is none. */
async function withOpen(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<boolean>,
): Promise<boolean> {
  if (openFiles < openAtOnce) openFiles++;
  // Whoever is through hands over its place.
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    const file = await open(path, flags).catch(ignoreMissing(undefined));
    if (file === undefined) return false;
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  } finally {
    const next = waiting.shift();
    if (next === undefined) openFiles--;
    else next();
  }
}

let openFiles = 0;
const waiting: (() => void)[] = [];
