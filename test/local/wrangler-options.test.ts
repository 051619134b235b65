import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readWranglerOptions } from "../../src/local/wrangler-options.ts";
import { temporaryDirectory } from "./program.ts";

test("what wrangler made of wrangler.toml is kept, and is the same when it is read again", async (t) => {
  const cache = join(temporaryDirectory(t), "cache");
  const asked = await readWranglerOptions(cache);
  assert.equal(asked.name, "stowage");
  assert.deepEqual(asked.workerOptions.r2Buckets, { BLOBS: { id: "BLOBS" } });
  const [file = "", ...others] = readdirSync(cache);
  assert.deepEqual(others, []);
  assert.deepEqual(await readWranglerOptions(cache), asked);

  // It is the file that is read, and not wrangler again.
  const kept = readFileSync(join(cache, file), "utf8");
  writeFileSync(join(cache, file), kept.replace('"stowage"', '"kept"'));
  assert.equal((await readWranglerOptions(cache)).name, "kept");
});

test("what was kept only in part, or cannot be kept, is asked for again", async (t) => {
  const cache = temporaryDirectory(t);
  const asked = await readWranglerOptions(cache);
  const [file = ""] = readdirSync(cache);
  writeFileSync(join(cache, file), '{"name":');
  assert.deepEqual(await readWranglerOptions(cache), asked);
  assert.deepEqual(await readWranglerOptions(join(cache, file)), asked);
});
