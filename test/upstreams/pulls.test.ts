/** Pulls through the cache of an upstream: what is asked when, and what is here afterwards. */
import assert from "node:assert/strict";
import test from "node:test";
import { digestOf, mebibyte, unknownDigest } from "../support/content.ts";
import { startRegistry, until } from "../support/registry.ts";
import { ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const registry = await startRegistry({
  vars: { UPSTREAMS: upstream.settings({ repositories: ["team/*"] }) },
});

test("an image is pulled by tag, and each part of it is asked for once", async () => {
  const image = upstream.addImage("team/app", [500, 200_000, 12 * mebibyte], "v1");
  upstream.forget();
  for (let round = 0; round < 2; round++) {
    const manifest = await registry.must(200, "GET", "/v2/up/team/app/manifests/v1");
    assert.deepEqual(manifest.bytes, image.manifest);
    assert.equal(manifest.header("Docker-Content-Digest"), image.digest);
    for (const layer of image.layers) {
      const blob = await registry.must(200, "GET", `/v2/up/team/app/blobs/${digestOf(layer)}`);
      assert.equal(digestOf(blob.bytes), digestOf(layer));
    }
    await registry.must(200, "GET", `/v2/up/team/app/blobs/${image.config}`);
  }
  assert.equal(upstream.count("GET", /manifests\/v1$/), 1);
  assert.equal(upstream.count("GET", /blobs/), 4);
  assert.equal(upstream.count("HEAD", /./), 0);
});

test("of an index only the child that a client wants is asked for", async () => {
  const images = [upstream.addImage("team/multi"), upstream.addImage("team/multi")];
  const index = upstream.addIndex("team/multi", images, "v1");
  const answer = await registry.must(200, "GET", "/v2/up/team/multi/manifests/v1");
  assert.equal(digestOf(answer.bytes), index);
  const [wanted, other] = images;
  await registry.must(200, "GET", `/v2/up/team/multi/manifests/${wanted?.digest}`);
  assert.equal(upstream.count("GET", new RegExp(other?.digest ?? "?")), 0);
});

test("what the upstream does not have is 404, and is not asked for again at once", async () => {
  upstream.forget();
  for (let round = 0; round < 3; round++) {
    await registry.must(404, "GET", "/v2/up/team/app/manifests/none");
    await registry.must(404, "GET", `/v2/up/team/app/blobs/${unknownDigest()}`);
  }
  assert.equal(upstream.count("GET", /none/), 1);
});

test("what the patterns leave out is never asked for", async () => {
  upstream.addImage("other/app", [10], "v1");
  upstream.forget();
  await registry.must(404, "GET", "/v2/up/other/app/manifests/v1");
  await registry.must(404, "HEAD", `/v2/up/other/app/blobs/${unknownDigest()}`);
  assert.equal(upstream.seen.length, 0);
});

test("a cache takes no pushes and no mounts, but deletions", async () => {
  const { digest, config } = upstream.addImage("team/read-only", [10], "v1");
  await registry.must(200, "GET", "/v2/up/team/read-only/manifests/v1");
  await registry.must(200, "GET", `/v2/up/team/read-only/blobs/${config}`);
  await registry.must(405, "POST", "/v2/up/team/read-only/blobs/uploads/");
  await registry.must(405, "POST", `/v2/up/team/new/blobs/uploads/?mount=${config}&from=up/team/read-only`);
  await registry.must(405, "PUT", "/v2/up/team/read-only/manifests/v2", { json: {} });
  await registry.must(202, "DELETE", "/v2/up/team/read-only/manifests/v1");
  await registry.must(202, "DELETE", `/v2/up/team/read-only/manifests/${digest}`);
  // Who pulls it wants it back.
  await registry.must(200, "GET", "/v2/up/team/read-only/manifests/v1");
});

test("HEAD says what GET would", async () => {
  const image = upstream.addImage("team/head", [2000], "v1");
  const [layer = new Uint8Array()] = image.layers;
  const blob = await registry.must(200, "HEAD", `/v2/up/team/head/blobs/${digestOf(layer)}`);
  assert.equal(blob.header("Content-Length"), "2000");
  const manifest = await registry.must(200, "HEAD", "/v2/up/team/head/manifests/v1");
  assert.equal(manifest.header("Docker-Content-Digest"), image.digest);
  assert.equal(manifest.header("Content-Length"), String(image.manifest.byteLength));
});

test("a part of a blob that is not here is passed through", async () => {
  const image = upstream.addImage("team/range", [300_000], "v1");
  const [layer = new Uint8Array()] = image.layers;
  const path = `/v2/up/team/range/blobs/${digestOf(layer)}`;
  const part = await registry.send("GET", path, { headers: { Range: "bytes=1000-1999" } });
  assert.equal(part.status, 206);
  assert.equal(part.header("Content-Range"), "bytes 1000-1999/300000");
  assert.deepEqual(part.bytes, layer.subarray(1000, 2000));
  assert.equal(upstream.count("GET", new RegExp(digestOf(layer))), 1);
  const end = await registry.send("GET", path, { headers: { Range: "bytes=-100" } });
  assert.deepEqual(end.bytes, layer.subarray(-100));
  await registry.must(416, "GET", path, { headers: { Range: "bytes=300000-" } });
});

test("of a blob that is not here, several parts are answered with all of it", async () => {
  const image = upstream.addImage("team/ranges", [300_000], "v1");
  const [layer = new Uint8Array()] = image.layers;
  const path = `/v2/up/team/ranges/blobs/${digestOf(layer)}`;
  const answer = await registry.must(200, "GET", path, { headers: { Range: "bytes=0-9,100-109" } });
  assert.deepEqual(answer.bytes, layer);
});

test("a part that is most of a blob brings all of it here", async () => {
  const image = upstream.addImage("team/most", [300_000], "v1");
  const [layer = new Uint8Array()] = image.layers;
  const digest = digestOf(layer);
  const path = `/v2/up/team/most/blobs/${digest}`;
  const part = await registry.must(206, "GET", path, { headers: { Range: "bytes=1000-200999" } });
  assert.deepEqual(part.bytes, layer.subarray(1000, 201_000));
  await until("the fetch of all", () => upstream.count("GET", new RegExp(digest)) === 2);
  await until("the blob", async () => {
    upstream.forget();
    await registry.must(206, "GET", path, { headers: { Range: "bytes=0-0" } });
    return upstream.seen.length === 0;
  });
  upstream.remove("team/most", digest);
  assert.deepEqual((await registry.must(200, "GET", path)).bytes, layer);
});

test("many clients at once cause one fetch", async () => {
  const { layers } = upstream.addImage("team/crowd", [6 * mebibyte], "v1");
  const [layer = new Uint8Array()] = layers;
  upstream.pace = { bytes: mebibyte, ms: 5 };
  upstream.forget();
  const path = `/v2/up/team/crowd/blobs/${digestOf(layer)}`;
  const answers = await Promise.all(Array.from({ length: 12 }, () => registry.must(200, "GET", path)));
  upstream.pace = undefined;
  for (const { bytes } of answers) assert.equal(digestOf(bytes), digestOf(layer));
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("lists name what is cached", async () => {
  const answer = await registry.must(200, "GET", "/v2/up/team/app/tags/list");
  assert.deepEqual(answer.json(), { name: "up/team/app", tags: ["v1"] });
});
