/**
 * Files of the data directory, and of what is built: written as a whole or not at all, also where the volume may be full.
 */
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Volume } from "../storage/disk-space.ts";

/**
 * Writes a file elsewhere and renames it, as several servers may write it at once, and may be killed meanwhile. What is
 * in it survives a power cut; that it has its name does once its directory is synced.
 *
 * @param mode who may do what with the file; as the process has it for new files, if it is not given
 */
export function writeAtomically(path: string, content: string | Uint8Array, mode?: number): void {
  const temporary = `${path}.${randomUUID()}`;
  const file = openSync(temporary, "w");
  try {
    try {
      if (mode !== undefined) fchmodSync(file, mode);
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Writes a file that every user may read, as {@link writeAtomically} does, in a folder that is made if it is not there:
 * what a server builds has no secrets, and another user's is started with it. A server's own files are for its user.
 */
export function writeForAll(path: string, content: string | Uint8Array): void {
  const folder = dirname(path);
  const made = mkdirSync(folder, { recursive: true });
  if (made !== undefined) chmodSync(made, 0o755);
  openForAll(folder);
  writeAtomically(path, content, 0o644);
}

/** Lets every user read a folder, unless it is another user's to say who may: an earlier release made its own private. */
function openForAll(folder: string): void {
  const { mode } = statSync(folder);
  if ((mode & 0o055) === 0o055) return;
  try {
    chmodSync(folder, (mode & 0o7777) | 0o055);
  } catch {
    // What is written is read by those who may read there.
  }
}

/** The free space for users other than root, and the size of the volume. */
export async function measureVolume(directory: string): Promise<Volume> {
  const { bsize, bavail, blocks } = await statfs(directory);
  return { freeBytes: bsize * bavail, totalBytes: bsize * blocks };
}

/** Whether an error means that the volume is full. */
export function hasNoRoom(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Writes a file that the server can do without, unless there is no room for it. */
export function writeIfRoom(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    if (!hasNoRoom(error)) throw error;
  }
}

/** Removes a file that no start relies on to be gone. It stays where that fails, as on a volume that became read-only. */
export function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}
