/** Files and folders that a command makes for itself: they go with it, also when a signal ends it. */
import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";

const paths = new Set<string>();

/** Does some work with a file or folder that is removed afterwards. */
export async function withTemporary<T>(path: string, work: () => Promise<T>): Promise<T> {
  paths.add(path);
  try {
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true });
    paths.delete(path);
  }
}

/** Removes those that there are, before the process ends. */
export function removeTemporary(): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}
