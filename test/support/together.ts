/** Test files that share a process: to start one takes as long as the tests of many a file. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { suite } from "node:test";
import { beginFile } from "./ends-of-files.ts";

/** The folder of all tests. */
export const testFolder = join(import.meta.dirname, "..");

/** Files that set up their process for the one that they import: they share none with others. */
export const inOtherProcesses = ["**/*on-disk.test.ts", "**/*on-one-machine.test.ts"];

/**
 * Runs the test files of these patterns, which are relative to test/, one after the other: each is a suite under its
 * path, and what it started ends before the next one begins.
 */
export async function runTogether(patterns: string[], exclude: string[] = inOtherProcesses): Promise<void> {
  for (const file of globSync(patterns, { cwd: testFolder, exclude }).toSorted()) {
    await suite(file, async () => {
      beginFile();
      await import(join(testFolder, file));
    });
  }
}
