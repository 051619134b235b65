/** Collection that does not wait for `GC_GRACE` and `DELETE_DELAY`: what it takes, and what a push may rely on still. */
import assert from "node:assert/strict";
import test from "node:test";
import type { PushedImage } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageManifest,
  layerType,
  mebibyte,
} from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { gcNow as collectNow } from "../support/upkeep.ts";

const leaseMs = 60_000;
const { registry, advance } = await startTimedRegistry({ vars: { LEASE_TTL: "60s" } });
const gcNow = () => collectNow(registry);

/** An image with a layer of 1 MiB, which was pushed so long ago that no lease of it runs. */
async function oldImage(repository: string): Promise<PushedImage> {
  const layer = content(mebibyte);
  const config = content();
  await registry.pushBlob(repository, layer);
  await registry.pushBlob(repository, config);
  const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);
  await registry.pushManifest(repository, "v1", manifest);
  await advance(leaseMs);
  return { digest: digestOf(manifest), manifest, config: digestOf(config), layers: [digestOf(layer)] };
}

test("what was deleted goes in that run, and cannot come back; the rest stays", async () => {
  const kept = await oldImage("kept");
  const deleted = await oldImage("deleted");
  const path = `/v2/deleted/manifests/${deleted.digest}`;
  await registry.must(202, "DELETE", path);
  const before = registry.stored.blobKeys().length;
  const { freed, keptForSeconds } = await gcNow();
  assert.deepEqual([freed.links, freed.blobs], [2, 2]);
  assert(freed.bytes > mebibyte);
  assert.equal(keptForSeconds, 0);
  assert.equal(registry.stored.blobKeys().length, before - 2);
  await registry.must(404, "POST", `/api/v1/repositories/deleted/manifests/${deleted.digest}/restore`);
  await registry.pullImage("kept", "v1", kept);
  assert.deepEqual((await gcNow()).freed.bytes, 0);
});

test("a blob that another repository references stays", async () => {
  const image = await oldImage("first");
  const [layer = ""] = image.layers;
  for (const digest of [layer, image.config]) {
    await registry.must(201, "POST", `/v2/second/blobs/uploads/?mount=${digest}&from=first`);
  }
  await registry.pushManifest("second", "v1", image.manifest);
  await advance(leaseMs);
  await registry.must(202, "DELETE", `/v2/first/manifests/${image.digest}`);
  assert.equal((await gcNow()).freed.blobs, 0);
  await registry.pullImage("second", "v1", image);
});

test("a blob whose manifest has not come yet stays for five leases, and the run says until when", async () => {
  const bytes = content();
  await registry.pushBlob("waiting", bytes);
  await advance(4 * leaseMs);
  const { keptForSeconds } = await gcNow();
  assert(keptForSeconds > 0);
  await registry.must(200, "GET", `/v2/waiting/blobs/${digestOf(bytes)}`);
  await advance(leaseMs);
  await gcNow();
  await registry.must(404, "GET", `/v2/waiting/blobs/${digestOf(bytes)}`);
});

for (const [when, order] of Object.entries({
  "before its manifest was deleted": ["HEAD", "DELETE"],
  "after its manifest was deleted": ["DELETE", "HEAD"],
})) {
  test(`a blob that a pusher was told of ${when} is there for that pusher's manifest`, async () => {
    const repository = `told-${order[0]?.toLowerCase()}`;
    const image = await oldImage(repository);
    const [layer = ""] = image.layers;
    for (const method of order) {
      if (method === "DELETE") {
        await registry.must(202, "DELETE", `/v2/${repository}/manifests/${image.digest}`);
      } else {
        for (const digest of [layer, image.config])
          await registry.must(200, "HEAD", `/v2/${repository}/blobs/${digest}`);
      }
    }
    assert((await gcNow()).keptForSeconds > 0);
    await registry.pushManifest(repository, "v2", image.manifest);
    await registry.pullImage(repository, "v2", image);
  });
}

test("a blob that somebody else has pushed stays for their manifest, whatever becomes of the first one", async () => {
  const image = await oldImage("again");
  const [digest = ""] = image.layers;
  const { bytes } = await registry.must(200, "GET", `/v2/again/blobs/${digest}`);
  await registry.pushBlob("again", bytes);
  await registry.must(202, "DELETE", `/v2/again/manifests/${image.digest}`);
  await advance(2 * leaseMs);
  await gcNow();
  await registry.must(200, "GET", `/v2/again/blobs/${digest}`);
  await registry.must(404, "GET", `/v2/again/blobs/${image.config}`);
});

test("a blob that was pushed less than a lease ago stays, though another's manifest came for it and went", async () => {
  // Of what is promised elsewhere.
  await advance(5 * leaseMs);
  await gcNow();
  const [layer, config] = [content(), content()];
  for (const bytes of [layer, config]) await registry.pushBlob("crossing", bytes);
  const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);
  await registry.pushManifest("crossing", "v1", manifest);
  await registry.must(202, "DELETE", `/v2/crossing/manifests/${digestOf(manifest)}`);
  const { keptForSeconds } = await gcNow();
  assert(keptForSeconds > 0 && keptForSeconds <= leaseMs / 1000, String(keptForSeconds));
  await registry.must(200, "GET", `/v2/crossing/blobs/${digestOf(layer)}`);
  await advance(leaseMs);
  assert.deepEqual((await gcNow()).freed.links, 2);
  await registry.must(404, "GET", `/v2/crossing/blobs/${digestOf(layer)}`);
});

test("a blob without a manifest that a pusher was told of stays for four leases from then", async () => {
  const bytes = content();
  const path = `/v2/asked/blobs/${digestOf(bytes)}`;
  await registry.pushBlob("asked", bytes);
  await advance(4 * leaseMs);
  await registry.must(200, "HEAD", path);
  await advance(4 * leaseMs - 1);
  await gcNow();
  await registry.must(200, "GET", path);
});

test("a blob under a lease stays as long as that runs", async () => {
  const bytes = content();
  const before = registry.stored.blobKeys();
  await registry.pushBlob("leased", bytes);
  await registry.must(202, "DELETE", `/v2/leased/blobs/${digestOf(bytes)}`);
  const isStored = () => registry.stored.blobKeys().some((key) => !before.includes(key));
  assert((await gcNow()).keptForSeconds > 0);
  assert(isStored());
  await advance(leaseMs);
  await gcNow();
  assert(!isStored());
});

test("an upload in progress goes on", async () => {
  const bytes = content(2 * mebibyte);
  const opened = await registry.must(202, "POST", "/v2/slow/blobs/uploads/");
  const patched = await registry.must(202, "PATCH", opened.header("Location"), {
    body: bytes.subarray(0, mebibyte + 1),
  });
  await advance(10 * leaseMs);
  await gcNow();
  const rest = await registry.must(202, "PATCH", patched.header("Location"), {
    body: bytes.subarray(mebibyte + 1),
  });
  await registry.must(201, "PUT", `${rest.header("Location")}?digest=${digestOf(bytes)}`);
});

test("`now` is true or false", async () => {
  await registry.must(400, "POST", "/api/v1/gc", { body: JSON.stringify({ now: "yes" }) });
});
