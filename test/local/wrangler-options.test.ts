import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readWranglerOptions } from "../../src/local/workerd/wrangler-options.ts";
import { afterTest } from "../support/ends.ts";
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

test("a secret in the environment is not kept", async (t) => {
  const cache = join(temporaryDirectory(t), "cache");
  process.env.ADMIN_PASSWORD = "a secret of the environment";
  afterTest(t, () => delete process.env.ADMIN_PASSWORD);
  const asked = await readWranglerOptions(cache);
  assert(!JSON.stringify(asked).includes(process.env.ADMIN_PASSWORD));
});

test("every environment of wrangler.toml has the bindings of the deployment without one", async () => {
  const { unstable_readConfig } = await import("wrangler");
  const config = join(import.meta.dirname, "..", "..", "wrangler.toml");
  const bindings = (env: string) => {
    const read = unstable_readConfig({ config, env });
    const { kv_namespaces, r2_buckets, durable_objects, migrations, secrets, vars } = read;
    const limits = (read.ratelimits as object[]).map((limit) => ({ ...limit, namespace_id: undefined }));
    return { kv_namespaces, r2_buckets, durable_objects, migrations, secrets, vars, limits };
  };
  for (const env of ["staging", "production"]) assert.deepEqual(bindings(env), bindings(""), env);
});

test("what was kept only in part, or cannot be kept, is asked for again", async (t) => {
  const cache = temporaryDirectory(t);
  const asked = await readWranglerOptions(cache);
  const [file = ""] = readdirSync(cache);
  writeFileSync(join(cache, file), '{"name":');
  assert.deepEqual(await readWranglerOptions(cache), asked);
  assert.deepEqual(await readWranglerOptions(join(cache, file)), asked);
});
