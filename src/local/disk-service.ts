/**
 * The disk that the blob store of one machine writes to (storage/disk-bucket.ts): workerd's disk service, and beside it
 * what that does not do: to make files survive a power cut, and to tell those that were written whole.
 */
import { mkdirSync } from "node:fs";
import { open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Request, Response, type WorkerOptions } from "miniflare";
import type { StoredPage } from "../storage/bucket.ts";
import type { SettleRequest } from "../storage/disk-bucket.ts";
import { measureVolume } from "./free-space.ts";

/**
 * The bindings of a blob store on files.
 *
 * @param directory where the files are; made if it is not there
 */
export function diskBindings(directory: string): NonNullable<WorkerOptions["serviceBindings"]> {
  mkdirSync(directory, { recursive: true });
  return {
    BLOB_FILES: { disk: { path: directory, writable: true } },
    BLOB_KEEPER: (request: Request) => keep(directory, request),
  };
}

async function keep(directory: string, request: Request): Promise<Response> {
  if (request.method === "POST") {
    const isSettled = await settle(directory, (await request.json()) as SettleRequest);
    return new Response(null, { status: isSettled ? 204 : 404 });
  }
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/space") return new Response(JSON.stringify(await measureVolume(directory)));
  const page = await listKeys(directory, searchParams.get("after") ?? "", Number(searchParams.get("limit")));
  return new Response(JSON.stringify(page));
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
