import assert from "node:assert/strict";
import test from "node:test";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
  unknownDigest,
} from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const config = content();
const layer = content();
const configDescriptor = describe(config, configType);
const layerDescriptor = describe(layer, layerType);

async function pushContent(repository: string): Promise<void> {
  await Promise.all([config, layer].map((bytes) => registry.pushBlob(repository, bytes)));
}

/** An image of its own: the annotation makes its digest another. */
function newImage(more: object = {}): Uint8Array {
  return imageManifest(configDescriptor, [layerDescriptor], {
    annotations: { id: crypto.randomUUID() },
    ...more,
  });
}

await pushContent("types");
const child = newImage();
await registry.pushManifest("types", "child", child);
const childDescriptor = describe(child, imageManifestType);

const types: [what: string, manifest: Uint8Array, type: string][] = [
  ["an OCI image", newImage(), imageManifestType],
  ["an OCI image without mediaType", newImage({ mediaType: undefined }), imageManifestType],
  ["a Docker image", newImage({ mediaType: dockerManifestType }), dockerManifestType],
  ["an OCI index", imageIndex([childDescriptor]), imageIndexType],
  [
    "a Docker manifest list",
    imageIndex([childDescriptor], { mediaType: dockerManifestListType }),
    dockerManifestListType,
  ],
  ["an empty index", imageIndex([]), imageIndexType],
  ["an image without layers", imageManifest(configDescriptor, []), imageManifestType],
  [
    "an image with a layer elsewhere",
    newImage({ layers: [{ ...describe(content(), layerType), urls: ["https://a.example"] }] }),
    imageManifestType,
  ],
  [
    "an artifact of a type of its own",
    encode({ blobs: [describe(content(), "a/b")] }),
    "application/vnd.example+json",
  ],
  ["JSON with odd white space", encode(`{\n\t"schemaVersion" : 2, "manifests":[ ] }\n\n`), imageIndexType],
  [
    "JSON with an odd order and unknown fields",
    encode('{"z":1,"manifests":[],"a":"\\u00e9é","schemaVersion":2}'),
    imageIndexType,
  ],
];

for (const [what, manifest, type] of types) {
  test(`${what} is served as it was pushed, by tag and by digest`, async () => {
    const tag = `t-${crypto.randomUUID()}`;
    const pushed = await registry.putManifest("types", tag, manifest, type);
    assert.equal(pushed.status, 201, pushed.text);
    const digest = digestOf(manifest);
    assert.equal(pushed.header("Docker-Content-Digest"), digest);
    assert.equal(pushed.header("Location"), `/v2/types/manifests/${digest}`);
    for (const [reference, caching] of [
      [tag, /^no-cache/],
      [digest, /^private, max-age=\d+, immutable/],
    ] as const) {
      const path = `/v2/types/manifests/${reference}`;
      const get = await registry.must(200, "GET", path, { headers: { Accept: type } });
      assert.deepEqual(get.bytes, manifest);
      const head = await registry.must(200, "HEAD", path);
      assert.equal(head.header("Content-Length"), String(manifest.byteLength));
      for (const answer of [get, head]) {
        assert.equal(answer.header("Content-Type"), type);
        assert.equal(answer.header("Docker-Content-Digest"), digest);
        assert.equal(answer.header("ETag"), `"${digest}"`);
        assert.match(answer.header("Cache-Control"), caching);
      }
    }
  });
}

test("parameters of the Content-Type are ignored", async () => {
  const manifest = newImage();
  const digest = await registry.pushManifest(
    "types",
    "parameters",
    manifest,
    `${imageManifestType}; charset=utf-8`,
  );
  const pulled = await registry.must(200, "GET", `/v2/types/manifests/${digest}`);
  assert.equal(pulled.header("Content-Type"), imageManifestType);
});

test("a manifest is pushed by digest of each algorithm, without a tag", async () => {
  await pushContent("by-digest");
  for (const algorithm of ["sha256", "sha512"] as const) {
    const manifest = newImage();
    const digest = digestOf(manifest, algorithm);
    assert.equal(await registry.pushManifest("by-digest", digest, manifest), digest);
    const pulled = await registry.must(200, "GET", `/v2/by-digest/manifests/${digest}`);
    assert.equal(pulled.header("Docker-Content-Digest"), digest);
    assert.deepEqual(pulled.bytes, manifest);
  }
  const { tags } = (await registry.get("/v2/by-digest/tags/list")).json<{ tags: string[] }>();
  assert.deepEqual(tags, []);
});

test("a push by digest may carry tags, which are told back", async () => {
  await pushContent("tag-parameters");
  const manifest = newImage();
  const wanted = ["1.2.3", "1.2", "1", "latest", ...Array.from({ length: 46 }, (_, index) => `t${index}`)];
  const query = [...wanted, "latest"].map((tag) => `tag=${tag}`).join("&");
  const pushed = await registry.putManifest("tag-parameters", `${digestOf(manifest)}?${query}`, manifest);
  assert.equal(pushed.status, 201, pushed.text);
  assert.deepEqual(pushed.header("OCI-Tag").split(", "), wanted);
  for (const tag of wanted) {
    const head = await registry.must(200, "HEAD", `/v2/tag-parameters/manifests/${tag}`);
    assert.equal(head.header("Docker-Content-Digest"), digestOf(manifest));
  }
});

test("the same manifest may be pushed again, and to another repository", async () => {
  const manifest = newImage();
  for (const repository of ["again/a", "again/b"]) {
    await pushContent(repository);
    for (const tag of ["one", "two", "one"]) await registry.pushManifest(repository, tag, manifest);
    const list = await registry.must(200, "GET", `/v2/${repository}/tags/list`);
    assert.deepEqual(list.json<{ tags: string[] }>().tags, ["one", "two"]);
  }
});

test("a tag that moves is seen to move at once, and the old manifest stays", async () => {
  await pushContent("moves");
  const path = "/v2/moves/manifests/latest";
  const [first, second] = [newImage(), newImage()];
  for (const manifest of [first, second, first]) {
    await registry.pushManifest("moves", "latest", manifest);
    assert.deepEqual((await registry.must(200, "GET", path)).bytes, manifest);
    assert.equal(
      (await registry.must(200, "HEAD", path)).header("Docker-Content-Digest"),
      digestOf(manifest),
    );
  }
  await registry.must(200, "GET", `/v2/moves/manifests/${digestOf(second)}`);
});

test("If-None-Match saves what the client has, by tag and by digest", async () => {
  const { digest } = await registry.pushImage("conditions", "latest");
  for (const reference of ["latest", digest]) {
    const path = `/v2/conditions/manifests/${reference}`;
    for (const method of ["GET", "HEAD"]) {
      const headers = { "If-None-Match": `"${digest}"` };
      const unchanged = await registry.must(304, method, path, { headers });
      assert.equal(unchanged.header("ETag"), `"${digest}"`);
      assert.equal(unchanged.header("Docker-Content-Digest"), digest);
      await registry.must(200, method, path, { headers: { "If-None-Match": `"${unknownDigest()}"` } });
    }
  }
  await registry.pushImage("conditions", "latest");
  const path = "/v2/conditions/manifests/latest";
  await registry.must(200, "GET", path, { headers: { "If-None-Match": `"${digest}"` } });
});

test("If-Match refuses what the client does not want, by tag and by digest", async () => {
  const { digest } = await registry.pushImage("wanted", "latest");
  for (const reference of ["latest", digest]) {
    const path = `/v2/wanted/manifests/${reference}`;
    for (const method of ["GET", "HEAD"]) {
      await registry.must(200, method, path, { headers: { "If-Match": `"${digest}"` } });
      await registry.must(412, method, path, { headers: { "If-Match": `"${unknownDigest()}"` } });
    }
  }
  await registry.must(404, "GET", "/v2/wanted/manifests/none", { headers: { "If-Match": "*" } });
});

test("what is not there is MANIFEST_UNKNOWN, in a repository that exists or not", async () => {
  await registry.pushImage("exists", "latest");
  for (const repository of ["exists", "does-not-exist"]) {
    for (const reference of ["other", unknownDigest(), unknownDigest("sha512")]) {
      const path = `/v2/${repository}/manifests/${reference}`;
      expectError(await registry.get(path), 404, "MANIFEST_UNKNOWN");
      await registry.must(404, "HEAD", path);
      assert.equal((await registry.send("DELETE", path)).status, 404);
    }
  }
});

test("a manifest is readable only through a repository that has it", async () => {
  const { digest } = await registry.pushImage("mine", "latest");
  await registry.must(200, "GET", `/v2/mine/manifests/${digest}`);
  await registry.pushImage("yours", "latest");
  expectError(await registry.get(`/v2/yours/manifests/${digest}`), 404, "MANIFEST_UNKNOWN");
});

test("deleting a tag leaves the manifest and its other tags", async () => {
  const { digest, manifest } = await registry.pushImage("untag", "one");
  await registry.pushManifest("untag", "two", manifest);
  await registry.must(202, "DELETE", "/v2/untag/manifests/one");
  expectError(await registry.get("/v2/untag/manifests/one"), 404, "MANIFEST_UNKNOWN");
  expectError(await registry.send("DELETE", "/v2/untag/manifests/one"), 404, "MANIFEST_UNKNOWN");
  await registry.must(200, "GET", "/v2/untag/manifests/two");
  await registry.must(200, "GET", `/v2/untag/manifests/${digest}`);
  await registry.pushManifest("untag", "one", manifest);
  await registry.must(200, "GET", "/v2/untag/manifests/one");
});

test("deleting a manifest takes its tags along, and it may be pushed again", async () => {
  const { digest, manifest } = await registry.pushImage("delete", "one");
  await registry.pushManifest("delete", "two", manifest);
  const other = await registry.pushImage("delete", "other");
  await registry.must(200, "GET", `/v2/delete/manifests/${digest}`);
  await registry.must(202, "DELETE", `/v2/delete/manifests/${digest}`);
  for (const reference of ["one", "two", digest]) {
    expectError(await registry.get(`/v2/delete/manifests/${reference}`), 404, "MANIFEST_UNKNOWN");
    await registry.must(404, "HEAD", `/v2/delete/manifests/${reference}`);
  }
  await registry.pullImage("delete", "other", other);
  await registry.pushManifest("delete", "one", manifest);
  assert.deepEqual((await registry.must(200, "GET", `/v2/delete/manifests/${digest}`)).bytes, manifest);
});

test("a manifest of 4 MiB is taken", async () => {
  const padding = { annotations: { padding: "" } };
  const room = 4 * 1024 * 1024 - imageIndex([], padding).byteLength;
  const manifest = imageIndex([], { annotations: { padding: "x".repeat(room) } });
  assert.equal(manifest.byteLength, 4 * 1024 * 1024);
  const digest = await registry.pushManifest("large", "latest", manifest, imageIndexType);
  assert.equal(digestOf((await registry.must(200, "GET", `/v2/large/manifests/${digest}`)).bytes), digest);
});

test("a manifest may name a thousand layers", async () => {
  await pushContent("many");
  const layers = Array.from({ length: 1000 }, () => layerDescriptor);
  await registry.pushManifest("many", "same", imageManifest(configDescriptor, layers));
  const missing = layers.map(() => describe(content(), layerType));
  const refused = await registry.putManifest("many", "missing", imageManifest(configDescriptor, missing));
  const { detail } = expectError(refused, 404, "MANIFEST_BLOB_UNKNOWN");
  assert.equal((detail as unknown[]).length, 1000);
});

test("a manifest of a type that a browser shows is not run by it", async () => {
  await registry.pushManifest("shown", "page", encode({ text: "<script>" }), "text/html");
  for (const method of ["GET", "HEAD"]) {
    const { headers } = await registry.must(200, method, "/v2/shown/manifests/page");
    assert.equal(headers.get("Content-Security-Policy"), "default-src 'none'; sandbox");
    assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
  }
  await pushContent("shown");
  await registry.pushManifest("shown", "image", newImage());
  const { headers } = await registry.must(200, "GET", "/v2/shown/manifests/image");
  assert.equal(headers.get("Content-Security-Policy"), null);
});

test("an image is one by its type in whatever case", async () => {
  const headers = { "Content-Type": imageManifestType.replace("oci", "OCI") };
  const missing = imageManifest(describe(content(), configType), [], { mediaType: undefined });
  expectError(
    await registry.send("PUT", "/v2/cases/manifests/v1", { headers, body: missing }),
    404,
    "MANIFEST_BLOB_UNKNOWN",
  );
});
