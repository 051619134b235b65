import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { settleBucketKind } from "../../src/local/bucket-kind.ts";
import { temporaryDirectory } from "./program.ts";

test("a new data directory has its blobs on disk, or where it was told, and keeps to that", (t) => {
  const [plain, told] = [temporaryDirectory(t), temporaryDirectory(t)];
  assert.equal(settleBucketKind(plain, undefined), "disk");
  assert.equal(settleBucketKind(plain, "disk"), "disk");
  assert.equal(settleBucketKind(told, "r2"), "r2");
  assert.equal(settleBucketKind(told, undefined), "r2");
  assert.throws(() => settleBucketKind(told, "disk"), {
    name: "BucketKindError",
    message: `the data directory ${told} has its blobs in the bucket r2, and --bucket disk would not find them`,
  });
});

test("a data directory of the time before the choice was written down opens as it is", (t) => {
  const earlier = temporaryDirectory(t);
  mkdirSync(join(earlier, "r2"));
  assert.equal(settleBucketKind(earlier, undefined), "r2");
  assert.throws(() => settleBucketKind(earlier, "disk"), { name: "BucketKindError" });
});

test("a choice that was lost is told by the files, and one that cannot be read is refused", (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, "r2"));
  mkdirSync(join(directory, "files"));
  assert.equal(settleBucketKind(directory, undefined), "disk");
  writeFileSync(join(directory, "bucket"), "tape\n");
  assert.throws(() => settleBucketKind(directory, undefined), /must say where the blobs are: disk or r2$/);
});
