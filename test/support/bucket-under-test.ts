/**
 * Which bucket the registries of a test file have, and whether they are divided as on one machine. A file that sets it,
 * and imports another, runs that one's tests on it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { Machine } from "../../src/machine.ts";
import type { BucketKind } from "./miniflare/options.ts";

export const bucketUnderTest: { kind: BucketKind; machine?: Machine } = { kind: "r2" };

/** Has the registries of a test file run as `npm start` has them on a new data directory. */
export function testOneMachine(): void {
  bucketUnderTest.kind = "disk";
  bucketUnderTest.machine = { blobShards: 1, uploadPools: 4 };
}

/** A data directory that is removed after the tests of the file. */
export function temporaryData(): string {
  const directory = mkdtempSync(join(tmpdir(), "stowage-test-"));
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
