/** Folders for what is measured, and the floor of a bucket on disk: a file, written and made to last. */
import { randomUUID } from "node:crypto";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Payload } from "./payload.ts";

/** A folder of its own, which is removed in the end. */
export async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "stowage-bench-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Writes a blob to a new file of a folder, and waits until it would survive a power cut. */
export async function writeFileDurably(folder: string, payload: Payload): Promise<void> {
  await using file = await open(join(folder, randomUUID()), "w");
  for (const block of payload.blocks()) await file.write(block);
  await file.datasync();
}
