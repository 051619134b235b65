import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { isBucketKind, settleLayout } from "../../src/local/bucket-kind.ts";
import { temporaryDirectory } from "./program.ts";

test("a new data directory has its blobs on disk, or where it was told, and keeps to that", (t) => {
  const [plain, told] = [temporaryDirectory(t), temporaryDirectory(t)];
  assert.deepEqual(settleLayout(plain, undefined), { bucket: "disk", blobShards: 1 });
  assert.deepEqual(settleLayout(plain, "disk"), { bucket: "disk", blobShards: 1 });
  assert.deepEqual(settleLayout(told, "r2"), { bucket: "r2", blobShards: 1 });
  assert.deepEqual(settleLayout(told, undefined), { bucket: "r2", blobShards: 1 });
  assert.throws(() => settleLayout(told, "disk"), {
    name: "BucketKindError",
    message: `the data directory ${told} has its blobs in the bucket r2, and --bucket disk would not find them`,
  });
});

test("a data directory of the time before the choice was written down opens as it is", (t) => {
  const earlier = temporaryDirectory(t);
  mkdirSync(join(earlier, "r2"));
  assert.deepEqual(settleLayout(earlier, undefined), { bucket: "r2", blobShards: 256 });
  assert.throws(() => settleLayout(earlier, "disk"), { name: "BucketKindError" });
});

test("a data directory of the time when there was one number of shards keeps it", (t) => {
  const earlier = temporaryDirectory(t);
  writeFileSync(join(earlier, "bucket"), "disk\n");
  assert.deepEqual(settleLayout(earlier, undefined), { bucket: "disk", blobShards: 256 });
});

test("a release that knows of one number of shards alone refuses a directory with another", (t) => {
  const directory = temporaryDirectory(t);
  settleLayout(directory, undefined);
  // What such a release asks of the file.
  assert(!isBucketKind(readFileSync(join(directory, "bucket"), "utf8").trim()));
});

test("a choice that was lost is told by the files, and one that cannot be read is refused", (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, "r2"));
  mkdirSync(join(directory, "files"));
  assert.deepEqual(settleLayout(directory, undefined), { bucket: "disk", blobShards: 256 });
  for (const text of ["tape", "disk shards=3", "disk shards=512", "disk shards=", "disk shards=1 more", ""]) {
    writeFileSync(join(directory, "bucket"), `${text}\n`);
    assert.throws(
      () => settleLayout(directory, undefined),
      /must say where the blobs are: disk or r2$/,
      text,
    );
  }
});
