/**
 * The fsync service: what the blob store of one machine (storage/disk-bucket.ts) needs beside workerd's disk service,
 * which moves the bytes. It makes files survive a power cut, recognises those that were written whole, lists keys, and
 * measures the volume. It speaks HTTP, with workerd alone.
 */
import { once } from "node:events";
import type { Stats } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { secretHeader } from "../machine.ts";
import type { StoredPage } from "../storage/bucket.ts";
import {
  type DiskFile,
  isPartName,
  type PartsCommit,
  parseCommitRequest,
  type WholeCommit,
  wholeName,
  wholePath,
  wholesFolder,
} from "../storage/disk-files.ts";
import type { Channels } from "./channels.ts";
import { measureVolume } from "./files.ts";

/** A thousand uploads that begin at once each ask for a connection; of more than this, some are refused. */
const backlog = 4096;

/** A list of 10,000 parts has some 700 KB. */
const maxBodyBytes = 4 * 1024 * 1024;

const maxKeys = 1000;

/** What the folders of keys are in. */
const blobsFolder = "blobs";

/** How many files are synced at once, for one request and for all: descriptors are few, and connections need them. */
const syncsAtOnce = 16;
const openAtOnce = 64;

/**
 * Listens on its channel.
 *
 * @param directory where the files of blobs are
 * @param onFailure gets the error; the Worker only learns that there was one
 * @returns a function that stops listening
 */
export async function serveFsync(
  directory: string,
  { fsync: channel, secret }: Pick<Channels, "fsync" | "secret">,
  onFailure: (error: unknown) => void,
): Promise<() => void> {
  const ask = openFiles(directory);
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      if (secret !== undefined && request.headers[secretHeader.toLowerCase()] !== secret) {
        response.writeHead(403).end();
        return;
      }
      const query = new URL(request.url ?? "", "http://fsync").searchParams;
      const { status, body } = await ask({
        method: request.method ?? "",
        query,
        body: await readText(request),
      });
      response.writeHead(status).end(body);
    } catch (error) {
      onFailure(error);
      response.writeHead(500).end();
    }
  };
  // workerd keeps connections open, and writes to one that was closed as idle would fail.
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    void answer(request, response);
  });
  server.listen({ ...channel, backlog });
  await once(server, "listening");
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of request) {
    sizeBytes += piece.length;
    if (sizeBytes > maxBodyBytes) throw new RangeError("the request is too large");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** A request of the Worker, and the answer: HTTP, reduced to the parts that are used. */
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
 * What answers the requests of a blob store. POST commits files (CommitRequest in storage/disk-files.ts): 204, or 404 if
 * one is not as it was written. GET, with `after` and `limit`, lists keys ({@link StoredPage}). Anything else is 400,
 * whoever sends it: no path leads out of the directory.
 *
 * @param directory where the files are
 */
export function openFiles(directory: string): (request: DiskRequest) => Promise<DiskAnswer> {
  const durable = new DurableFiles();
  return async ({ method, query, body }) => {
    if (method === "POST") {
      const request = parseCommitRequest(body);
      if (request === undefined) return { status: 400 };
      const commit =
        "wholeBytes" in request
          ? commitWhole(directory, request, durable)
          : commitFiles(directory, request, durable);
      return { status: (await commit) ? 204 : 404 };
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

/** The keys after one of them, in order, each with the time at which its whole was written, or its folder got a file. */
async function listKeys(directory: string, after: string, limit: number): Promise<StoredPage> {
  const namesIn = (folder: string) => readdir(join(directory, folder)).catch(ignoreMissing<string[]>([]));
  // A kill can leave a key in both.
  const names = new Set([...(await namesIn(blobsFolder)), ...(await namesIn(wholesFolder))]);
  const keys = [...names].map((name) => `${blobsFolder}/${name}`).filter((key) => key > after);
  const page = keys.sort().slice(0, limit);
  const objects = [];
  for (const key of page) {
    const stats = (await statOf(join(directory, wholePath(key)))) ?? (await statOf(join(directory, key)));
    if (stats !== undefined) objects.push({ key, storedAtMs: Math.floor(stats.mtimeMs) });
  }
  return { objects, cursor: keys.length > page.length ? page.at(-1) : undefined };
}

function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(ignoreMissing(undefined));
}

/** Turns the error of a missing file into a value; throws every other error again. */
function ignoreMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT") return value;
    throw error;
  };
}

/**
 * Makes files durable: when this returns, they and their names survive a power cut. Whatever is not known to be durable
 * already is synced at the same time, as nothing counts before all of it is.
 *
 * @returns false if a file is not there, or has another size; then nothing is deleted
 */
async function commitFiles(
  directory: string,
  { folder, files, isAll }: PartsCommit,
  durable: DurableFiles,
): Promise<boolean> {
  const path = join(directory, folder);
  const isFresh = ({ name }: DiskFile) => !durable.hasFile(folder, name);
  const syncs = [
    ...(files.some(isFresh) ? [() => syncDirectory(path)] : []),
    ...(durable.hasFolder(folder) ? [] : [() => syncDirectory(dirname(path))]),
    ...(durable.parents.has(blobsFolder) ? [] : [() => syncDirectory(directory)]),
    ...files.map((file) => () => syncFile(join(path, file.name), file.sizeBytes, isFresh(file))),
  ];
  for (let start = 0; start < syncs.length; start += syncsAtOnce) {
    const synced = await Promise.all(syncs.slice(start, start + syncsAtOnce).map((sync) => sync()));
    if (synced.includes(false)) return false;
  }
  if (isAll && (await deleteOthers(path, new Set(files.map((file) => file.name))))) await syncDirectory(path);
  durable.add(folder, files);
  return true;
}

/**
 * Moves the file with all bytes of a key among those of other keys, makes it durable there, and deletes the key's folder.
 * The name that it was written under, and its folder, need not be durable then.
 *
 * @returns false if the file is not there, or has another size; then it stays where it is
 */
async function commitWhole(
  directory: string,
  { folder, wholeBytes }: WholeCommit,
  durable: DurableFiles,
): Promise<boolean> {
  const [written, kept] = [join(directory, folder, wholeName), join(directory, wholePath(folder))];
  if ((await statOf(written))?.size !== wholeBytes) return false;
  const isParentDurable = durable.parents.has(wholesFolder);
  if (!isParentDurable) await mkdir(dirname(kept), { recursive: true });
  await rename(written, kept);
  const synced = await Promise.all([
    syncFile(kept, wholeBytes, true),
    syncDirectory(dirname(kept)),
    ...(isParentDurable ? [] : [syncDirectory(directory)]),
  ]);
  if (synced.includes(false)) return false;
  durable.parents.add(wholesFolder);
  await rm(join(directory, folder), { recursive: true, force: true });
  return true;
}

/** Makes a file durable, if it has this size; one that is not `fresh` is durable already. */
function syncFile(path: string, sizeBytes: number, isFresh: boolean): Promise<boolean> {
  return withOpen(path, "r+", async (file) => {
    if ((await file.stat()).size !== sizeBytes) return false;
    if (isFresh) await file.datasync();
    return true;
  });
}

/** Deletes all other files of a folder, also those that workerd had not finished and hides from its clients. Returns whether there were any. */
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

/** Works on an open file or directory, once not too many are open; false where it does not exist. */
async function withOpen(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<boolean>,
): Promise<boolean> {
  if (openCount < openAtOnce) openCount++;
  // A finished task passes its place to the next one.
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
    if (next === undefined) openCount--;
    else next();
  }
}

let openCount = 0;
const waiting: (() => void)[] = [];

/** How many folders are remembered as durable; a forgotten one is synced once more. */
const maxFolders = 1000;

/**
 * What is known to survive a power cut, so that it is not synced again: the newest folders, each with its parts. Names of
 * parts and of folders are never used for anything else; `index` may be written anew.
 */
class DurableFiles {
  readonly #folders = new Map<string, Set<string>>();
  /** Which of the folders that are there for ever are durable. */
  readonly parents = new Set<string>();

  hasFolder(folder: string): boolean {
    return this.#folders.has(folder);
  }

  hasFile(folder: string, name: string): boolean {
    return this.#folders.get(folder)?.has(name) === true;
  }

  add(folder: string, files: DiskFile[]): void {
    this.parents.add(blobsFolder);
    const known = this.#folders.get(folder) ?? new Set();
    for (const { name } of files) if (isPartName(name)) known.add(name);
    this.#folders.delete(folder);
    this.#folders.set(folder, known);
    const [oldest] = this.#folders.keys();
    if (oldest !== undefined && this.#folders.size > maxFolders) this.#folders.delete(oldest);
  }
}
