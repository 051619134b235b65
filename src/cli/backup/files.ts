/** Files that survive a power cut, and are there whole or not at all. */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { withTemporary } from "../temporary.ts";

/**
 * Has a folder, and those above it, survive a power cut if they are new; those excepted that are in a folder which this
 * user may write and not read, as it cannot be synced.
 */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EACCES") throw error;
    });
    if (made === first || made === dirname(made)) return;
  }
}

/**
 * Writes a new file in place of the one at a path: another name of that one, a hard link, keeps its bytes. That the new
 * one has the name survives a power cut once its folder is synced.
 *
 * @param folder where the file is until it is whole
 * @param work writes the bytes; if it fails, the file at the path stays
 */
export async function replaceFile(
  folder: string,
  path: string,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const partial = join(folder, `.${randomUUID()}.partial`);
  await withTemporary(partial, async () => {
    const file = await open(partial, "wx");
    try {
      await work(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  });
}

const partialName = /^\.[0-9a-f-]{36}\.partial$/;
/** What is being written was written to more recently. */
const abandonedMs = 3_600_000;

/**
 * Removes what {@link replaceFile} left in a folder when its process was killed.
 *
 * @param now the time, in milliseconds since 1970
 */
export async function removeAbandoned(folder: string, now: number): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of names.filter((each) => partialName.test(each))) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < now - abandonedMs) await rm(path, { force: true });
  }
}

/** Has the names in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  // Windows keeps names by itself, and opens no directories.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems of networks sync no folders.
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
  } finally {
    await folder.close();
  }
}
