import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { prepareLayout } from "../../src/local/data-layout.ts";
import { temporaryDirectory } from "./program.ts";

test("a new data directory has its blobs in files and one shard, and keeps to that", (t) => {
  const directory = temporaryDirectory(t);
  const layout = prepareLayout(directory);
  const folders = { objects: join(directory, "do"), files: join(directory, "files") };
  assert.deepEqual(layout, { folders, machine: { blobShards: 1, uploadPools: 4, nameIndexes: 1 } });
  assert.deepEqual(prepareLayout(directory), layout);
});

test("a data directory of the time when there was one number of shards keeps it", (t) => {
  const earlier = temporaryDirectory(t);
  writeFileSync(join(earlier, "bucket"), "disk\n");
  assert.equal(prepareLayout(earlier).machine.blobShards, 256);
  const unrecorded = temporaryDirectory(t);
  mkdirSync(join(unrecorded, "files"));
  assert.equal(prepareLayout(unrecorded).machine.blobShards, 256);
  // It opens in the release that wrote it.
  assert.equal(readFileSync(join(unrecorded, "bucket"), "utf8"), "disk\n");
});

test("a directory with data whose record is gone is refused, and nothing is made in it", (t) => {
  for (const folder of ["do", "files"]) {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, folder));
    // Releases that write this file have written the record before it.
    writeFileSync(join(directory, "data-versions"), "{}\n");
    assert.throws(() => prepareLayout(directory), {
      name: "DataLayoutError",
      message: /has data, and its file bucket is gone, .* from a copy/,
    });
    assert.deepEqual(readdirSync(directory).sort(), ["data-versions", folder]);
  }
});

test("a release that knows of one number of shards alone refuses a directory with another", (t) => {
  const directory = temporaryDirectory(t);
  prepareLayout(directory);
  // Such a release takes `disk` and `r2`, and nothing else.
  assert.equal(readFileSync(join(directory, "bucket"), "utf8"), "disk shards=1\n");
});

test("a record that cannot be read is refused", (t) => {
  const directory = temporaryDirectory(t);
  for (const text of ["tape", "disk shards=3", "disk shards=512", "disk shards=", "disk shards=1 more", ""]) {
    writeFileSync(join(directory, "bucket"), `${text}\n`);
    assert.throws(
      () => prepareLayout(directory),
      /must say how blobs are kept, such as: disk shards=1$/,
      text,
    );
  }
});

test("what earlier releases kept and nothing reads is removed, and nothing else", (t) => {
  const directory = temporaryDirectory(t);
  for (const folder of ["kv", "cache", "workflows", "r2", "files", "do"]) {
    mkdirSync(join(directory, folder, "within"), { recursive: true });
  }
  writeFileSync(join(directory, "ballast"), "the reserve file of earlier releases");
  prepareLayout(directory);
  assert.deepEqual(readdirSync(directory).sort(), ["bucket", "do", "files"]);
  assert(existsSync(join(directory, "files", "within")) && existsSync(join(directory, "do", "within")));
});

test("blobs in Miniflare's R2 are refused with what to do, and stay", (t) => {
  const [recorded, guessed] = [temporaryDirectory(t), temporaryDirectory(t)];
  writeFileSync(join(recorded, "bucket"), "r2\n");
  for (const directory of [recorded, guessed]) {
    mkdirSync(join(directory, "r2"));
    assert.throws(() => prepareLayout(directory), {
      name: "DataLayoutError",
      message: /`stowage export`.*`stowage import`/,
    });
    assert(existsSync(join(directory, "r2")));
  }
});
