/** Folders of tests, which are removed after them. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "./ends-of-files.ts";

const memory = "/dev/shm";
const neededBytes = 1024 ** 3;

function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= neededBytes;
  } catch {
    return false;
  }
}

/**
 * Where registries of tests keep their data: in memory, where the system has a folder for that with room enough, as
 * half of the time of a test would go to waiting for the disk. Deno has no access to that folder.
 */
export const dataRoot = process.env.TMPDIR === undefined && hasRoom(memory) ? memory : tmpdir();

/** An empty data directory, which is removed after the tests of the file. */
export function temporaryData(): string {
  const directory = mkdtempSync(join(dataRoot, "stowage-test-"));
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
