import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { settleLayout } from "../../src/local/data-layout.ts";
import { temporaryDirectory } from "./program.ts";

test("a new data directory has its blobs in files, and says so to earlier releases", (t) => {
  const directory = temporaryDirectory(t);
  const layout = settleLayout(directory);
  assert.deepEqual(layout, { objects: join(directory, "do"), files: join(directory, "files") });
  assert.equal(readFileSync(join(directory, "bucket"), "utf8"), "disk\n");
  assert.deepEqual(settleLayout(directory), layout);
});

test("what earlier releases kept for Miniflare goes, and nothing else", (t) => {
  const directory = temporaryDirectory(t);
  for (const folder of ["kv", "cache", "workflows", "r2", "files", "do"]) {
    mkdirSync(join(directory, folder, "within"), { recursive: true });
  }
  settleLayout(directory);
  assert.deepEqual(readdirSync(directory).sort(), ["bucket", "do", "files"]);
  assert(existsSync(join(directory, "files", "within")) && existsSync(join(directory, "do", "within")));
});

test("blobs in Miniflare's R2 are refused with what to do, and stay", (t) => {
  const [recorded, guessed] = [temporaryDirectory(t), temporaryDirectory(t)];
  writeFileSync(join(recorded, "bucket"), "r2\n");
  for (const directory of [recorded, guessed]) {
    mkdirSync(join(directory, "r2"));
    assert.throws(() => settleLayout(directory), {
      name: "DataLayoutError",
      message: /`stowage export`.*`stowage import`/,
    });
    assert(existsSync(join(directory, "r2")));
  }
});
