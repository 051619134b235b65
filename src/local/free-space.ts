/** How full the volume is that a directory is on. */
import { statfs } from "node:fs/promises";
import type { Volume } from "../storage/disk-space.ts";

/** What may still be written there by others than root, and the size of the volume. */
export async function measureVolume(directory: string): Promise<Volume> {
  const { bsize, bavail, blocks } = await statfs(directory);
  return { freeBytes: bsize * bavail, totalBytes: bsize * blocks };
}
