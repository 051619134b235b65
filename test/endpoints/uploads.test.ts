import assert from "node:assert/strict";
import test from "node:test";
import type { DigestAlgorithm } from "../../src/oci/reference.ts";
import { content, digestOf, mebibyte, streamOf } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { chunkRange, closeSession, uploadWays, type Way } from "../support/upload-ways.ts";

const registry = await startRegistry();
const uuid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

test("a session has a relative location with a UUID, and has received nothing", async () => {
  const opened = await registry.must(202, "POST", "/v2/a/b/blobs/uploads/");
  assert.match(opened.header("Location"), /^\/v2\/a\/b\/blobs\/uploads\/[^/?]+$/);
  assert.match(opened.header("Location"), uuid);
  assert.match(opened.header("Docker-Upload-UUID"), uuid);
  assert.equal(opened.header("Range"), "0-0");
  const status = await registry.must(204, "GET", opened.header("Location"));
  assert.equal(status.header("Range"), "0-0");
  assert.match(status.header("Location"), uuid);
});

const ways = uploadWays(registry);

async function pushes(push: Way, size: number, algorithm: DigestAlgorithm): Promise<void> {
  const bytes = content(size);
  const digest = digestOf(bytes, algorithm);
  assert.equal(await push("ways", bytes, digest), `/v2/ways/blobs/${digest}`);
  const pulled = await registry.must(200, "GET", `/v2/ways/blobs/${digest}`);
  assert.equal(digestOf(pulled.bytes, algorithm), digest);
}

for (const [how, push] of Object.entries(ways)) {
  test(`a blob is pushed by ${how}`, async () => {
    for (const algorithm of ["sha256", "sha512"] as const) await pushes(push, 1000, algorithm);
  });
}

// One of each way that bytes go: straight to the store, streamed, in chunks.
for (const how of [
  "POST, then PUT",
  "a streamed PATCH, then an empty PUT",
  "a chunk, then a PUT with the last one",
]) {
  test(`a blob of several parts is pushed by ${how}`, async () => {
    const push = ways[how];
    assert(push !== undefined);
    await pushes(push, 6 * mebibyte + 1, "sha256");
  });
}

test("a sha512 blob may be announced, or named when the upload is closed", async () => {
  for (const query of ["?digest-algorithm=sha512", "?digest-algorithm=sha256", ""]) {
    const bytes = content();
    const location = await registry.patch(await registry.openUpload("a", query), bytes);
    const path = await closeSession(registry, location, digestOf(bytes, "sha512"));
    assert.deepEqual((await registry.must(200, "GET", path)).bytes, bytes);
  }
});

test("each chunk is answered with where the upload stands, and so is GET", async () => {
  let location = await registry.openUpload("status");
  let size = 0;
  for (const length of [1, 9, 90]) {
    const patched = await registry.must(202, "PATCH", location, { body: content(length) });
    size += length;
    location = patched.header("Location");
    assert.equal(patched.header("Range"), `0-${size - 1}`);
    const status = await registry.must(204, "GET", location);
    assert.equal(status.header("Range"), `0-${size - 1}`);
    assert.equal(status.header("Docker-Upload-UUID"), patched.header("Docker-Upload-UUID"));
  }
});

test("the last chunk may come with the closing PUT, to either location, with its offset or to the newest without", async () => {
  const bytes = content(1000);
  const digest = digestOf(bytes);
  const rest = bytes.slice(600);
  for (const how of ["newest, with", "newest, without", "first, with"]) {
    const first = await registry.openUpload("last/chunk");
    const newest = await registry.patch(first, bytes.slice(0, 600), chunkRange(0, 600));
    const headers = how.endsWith("without") ? {} : chunkRange(600, 1000);
    const location = how.startsWith("first") ? first : newest;
    assert.equal(
      await closeSession(registry, location, digest, rest, headers),
      `/v2/last/chunk/blobs/${digest}`,
    );
  }
});

test("an empty chunk changes nothing", async () => {
  const bytes = content();
  let location = await registry.patch(await registry.openUpload("empty"), "");
  location = await registry.patch(location, bytes);
  location = await registry.patch(location, streamOf());
  await closeSession(registry, location, digestOf(bytes));
});

test("an empty blob is pushed in every way", async () => {
  const nothing = new Uint8Array();
  const digest = digestOf(nothing);
  await registry.must(201, "POST", `/v2/empty/1/blobs/uploads/?digest=${digest}`);
  await closeSession(registry, await registry.openUpload("empty/2"), digest);
  await closeSession(registry, await registry.patch(await registry.openUpload("empty/3"), nothing), digest);
  for (const name of ["empty/1", "empty/2", "empty/3"]) {
    const { bytes } = await registry.must(200, "GET", `/v2/${name}/blobs/${digest}`);
    assert.equal(bytes.byteLength, 0);
  }
});

test("a cancelled upload is gone, whether it has received bytes or not", async () => {
  for (const location of [
    await registry.openUpload("cancel"),
    await registry.patch(await registry.openUpload("cancel"), content()),
  ]) {
    await registry.must(204, "DELETE", location);
    for (const method of ["GET", "DELETE", "PATCH"]) await registry.must(404, method, location);
    const bytes = content();
    await registry.must(404, "PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes });
  }
});

test("a blob is mounted from a repository that has it, named or not", async () => {
  const bytes = content();
  const digest = await registry.pushBlob("mount/source", bytes);
  for (const [target, query] of [
    ["mount/named", `?mount=${digest}&from=mount/source`],
    ["mount/unnamed", `?mount=${digest}`],
    ["mount/empty", `?mount=${digest}&from=`],
    ["mount/source", `?mount=${digest}&from=mount/source`],
  ] as const) {
    const mounted = await registry.must(201, "POST", `/v2/${target}/blobs/uploads/${query}`);
    assert.equal(mounted.header("Location"), `/v2/${target}/blobs/${digest}`);
    assert.equal(mounted.header("Docker-Content-Digest"), digest);
    assert.deepEqual((await registry.must(200, "GET", mounted.header("Location"))).bytes, bytes);
  }
});

test("what cannot be mounted is a session to upload to", async () => {
  const bytes = content();
  const digest = digestOf(bytes);
  await registry.pushBlob("unmountable/has-another", content());
  for (const from of ["&from=unmountable/has-another", "&from=unmountable/nowhere", ""]) {
    const location = await registry.openUpload("unmountable/target", `?mount=${digest}${from}`);
    assert.equal((await registry.send("HEAD", `/v2/unmountable/target/blobs/${digest}`)).status, 404);
    await registry.must(204, "GET", location);
  }
  const location = await registry.openUpload(
    "unmountable/target",
    `?mount=${digest}&from=unmountable/nowhere`,
  );
  await closeSession(registry, location, digest, bytes);
});
