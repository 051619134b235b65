/** Files of the data directory: written as a whole or not at all, also where the volume may be full. */
import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Volume } from "../storage/disk-space.ts";

/**
 * Writes a file elsewhere and renames it, as several servers may write it at once, and may be killed meanwhile. What is
 * in it survives a power cut; that it has its name does once its directory is synced.
 */
export function writeAtomically(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = openSync(temporary, "w");
    try {
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
