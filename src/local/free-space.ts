/** How full the volume is that a directory is on, and what to do where nothing more can be written. */
import { writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Volume } from "../storage/disk-space.ts";

/** What may still be written there by others than root, and the size of the volume. */
export async function measureVolume(directory: string): Promise<Volume> {
  const { bsize, bavail, blocks } = await statfs(directory);
  return { freeBytes: bsize * bavail, totalBytes: bsize * blocks };
}

/** Whether something failed because the volume is full. */
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
