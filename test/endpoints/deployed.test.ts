/** The Worker as it is deployed: minified. All other tests run it with the names of its sources. */
import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { buildWorker } from "../../src/local/workerd/bundle.ts";
import { readWranglerOptions } from "../../src/local/workerd/wrangler-options.ts";
import { startRegistry } from "../support/registry.ts";

/** What the platform counts, and an isolate loads when it starts. */
const mostBytes = 260_000;

const script = await buildWorker({ minify: true });

test("it takes at most 260 kB, gzipped", () => {
  const bytes = gzipSync(script).byteLength;
  assert(bytes <= mostBytes, `${bytes} bytes`);
});

test("it pushes, pulls, finds, deletes and restores as it does with its names", async () => {
  const { objectClasses } = await readWranglerOptions();
  assert(Object.keys(objectClasses).length >= 10);
  const registry = await startRegistry({ script });
  const image = await registry.pushImage("team/app", "v1");
  await registry.pullImage("team/app", "v1", image);
  await registry.must(200, "GET", "/api/v1/repositories/team/app/references/v1");
  await registry.must(200, "GET", "/api/v1/search?q=app");
  await registry.must(200, "GET", "/", { headers: { Accept: "text/html" } });
  await registry.must(202, "DELETE", "/api/v1/repositories/team/app");
  await registry.must(200, "POST", "/api/v1/repositories/team/app/restore");
  await registry.pullImage("team/app", "v1", image);
});
