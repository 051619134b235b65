/** Files that survive a power cut, and are there whole or not at all. */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Has a folder, and those above it, survive a power cut if they are new. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made));
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
  try {
    const file = await open(partial, "wx");
    try {
      await work(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
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
