/** Which bucket the registries of a test file have. A file that sets it, and imports another, runs that one's tests on it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { BucketKind } from "./miniflare/options.ts";

export const bucketUnderTest: { kind: BucketKind } = { kind: "r2" };

/** A data directory that is removed after the tests of the file. */
export function temporaryData(): string {
  const directory = mkdtempSync(join(tmpdir(), "stowage-test-"));
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
