/**
 * Which bucket the registries of a test file have, and whether they are divided as on one machine. A file that sets it,
 * and imports another, runs that one's tests on it.
 */
import type { Machine } from "../../src/machine.ts";
import type { BucketKind } from "./miniflare/options.ts";

export const bucketUnderTest: { kind: BucketKind; machine?: Machine } = { kind: "r2" };

/** Has the registries of a test file run as `npm start` has them on a new data directory. */
export function testOneMachine(): void {
  bucketUnderTest.kind = "disk";
  bucketUnderTest.machine = { blobShards: 1, uploadPools: 4, nameIndexes: 1 };
}
