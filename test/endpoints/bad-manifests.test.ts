import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import type { Body } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
  mebibyte,
  streamOf,
  unknownDigest,
} from "../support/content.ts";
import { exchange, head } from "../support/raw.ts";
import { startRegistry } from "../support/registry.ts";
import { leavesUnchanged, replicaHas } from "../support/snapshot.ts";

const registry = await startRegistry();
const image = await registry.pushImage("known", "latest");
await replicaHas(registry, 4);

const config = describe(content(), configType);
const layer = describe(content(), layerType);
/** RFC 6838, section 4.2: 127 characters, a slash, 127 characters. */
const longestType = `${"a".repeat(127)}/${"b".repeat(127)}`;
const tooLong = `${longestType}b`;
const veryLong = `a/${"b".repeat(3_000_000)}`;
const tooLarge = imageIndex([], { annotations: { padding: "x".repeat(4 * mebibyte) } });

type Row = { body: Body; type?: string; status?: number; code?: string };

const refused: Record<string, Row> = {
  nothing: { body: "" },
  "text that is not JSON": { body: "manifest" },
  "JSON that is cut short": { body: image.manifest.slice(0, -1) },
  "bytes that are not UTF-8": { body: new Uint8Array([0x7b, 0xff, 0x7d]) },
  "a digest with an escape that JSON does not have": {
    body: `{"digest":"\\x${"a".repeat(100)}"}`,
    type: "a/b",
  },
  "an array": { body: "[]" },
  "a number": { body: "1" },
  "a Content-Type that contradicts mediaType": { body: image.manifest, type: imageIndexType },
  "a Content-Type that is none": { body: image.manifest, type: "image" },
  "schema version 1": { body: imageManifest(config, [layer], { schemaVersion: 1 }) },
  "layers that are an object": { body: imageManifest(config, [], { layers: { 0: layer } }) },
  "layers that are text": { body: imageManifest(config, [], { layers: layer.digest }) },
  "layers that are missing": { body: imageManifest(config, [], { layers: undefined }) },
  "a layer that is null": { body: imageManifest(config, [], { layers: [null] }) },
  "a layer without digest": { body: imageManifest(config, [{ ...layer, digest: "" }]) },
  "a layer of negative size": { body: imageManifest(config, [{ ...layer, size: -1 }]) },
  "a layer of a type that is too long": { body: imageManifest(config, [{ ...layer, mediaType: tooLong }]) },
  "a config of a type that is too long": { body: imageManifest({ ...config, mediaType: tooLong }, [layer]) },
  "a layer of a type of 3 MB": { body: imageManifest(config, [{ ...layer, mediaType: veryLong }]) },
  "an artifactType that is too long": { body: imageManifest(config, [layer], { artifactType: tooLong }) },
  "an artifactType of 3 MB": { body: imageManifest(config, [layer], { artifactType: veryLong }) },
  "an index of an artifactType that is too long": {
    body: imageIndex([], { artifactType: tooLong }),
    type: imageIndexType,
  },
  "an image that is an index too": { body: imageManifest(config, [layer], { manifests: [] }) },
  "an index that is an image too": {
    body: imageIndex([], { config, layers: [layer] }),
    type: imageIndexType,
  },
  "a subject that is text": { body: imageManifest(config, [], { subject: image.digest }) },
  "annotations that are numbers": { body: imageManifest(config, [], { annotations: { a: 1 } }) },
  "more than 4 MiB": { body: tooLarge, status: 413, code: "SIZE_INVALID" },
  "more than 4 MiB of unknown length": { body: streamOf(tooLarge), status: 413, code: "SIZE_INVALID" },
};

for (const [
  what,
  { body, type = imageManifestType, status = 400, code = "MANIFEST_INVALID" },
] of Object.entries(refused)) {
  test(`a manifest of ${what} is refused`, async () => {
    await leavesUnchanged(registry, async () => {
      const headers = { "Content-Type": type };
      const path = "/v2/known/manifests/bad";
      expectError(await registry.send("PUT", path, { headers, body }), status, code);
    });
  });
}

test("a manifest without a type anywhere is refused", async () => {
  await leavesUnchanged(registry, async () => {
    const body = imageManifest(config, [], { mediaType: undefined });
    expectError(await registry.send("PUT", "/v2/known/manifests/bad", { body }), 400, "MANIFEST_INVALID");
  });
});

test("a manifest that is not what its digest says is refused", async () => {
  await leavesUnchanged(registry, async () => {
    for (const digest of [unknownDigest(), unknownDigest("sha512"), image.config]) {
      const { detail } = expectError(
        await registry.putManifest("known", digest, image.manifest),
        400,
        "DIGEST_INVALID",
      );
      assert.equal((detail as { digest: string }).digest, digest);
    }
  });
});

const missing = [describe(content(), layerType), describe(content(), layerType)];
const digests = (descriptors: { digest: string }[]) => descriptors.map(({ digest }) => digest).sort();

test("all that a manifest misses is listed, and nothing that it has", async () => {
  const [first, second] = missing;
  assert(first !== undefined && second !== undefined);
  const known = describe(image.manifest, imageManifestType);
  const knownConfig = { ...config, digest: image.config };
  const rows: [manifest: Uint8Array, type: string, expected: object[]][] = [
    [imageManifest(config, [...missing, first]), imageManifestType, [config, ...missing]],
    [imageManifest(knownConfig, missing), imageManifestType, missing],
    [
      imageManifest(knownConfig, [{ ...first, urls: ["https://a.example"] }, second]),
      imageManifestType,
      [second],
    ],
    [
      imageManifest({ ...config, digest: `sha384:${"a".repeat(96)}` }, []),
      imageManifestType,
      [{ digest: `sha384:${"a".repeat(96)}` }],
    ],
    [imageIndex([known, ...missing]), imageIndexType, missing],
  ];
  await leavesUnchanged(registry, async () => {
    for (const [manifest, type, expected] of rows) {
      const answer = await registry.putManifest("known", "bad", manifest, type);
      const { detail } = expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
      assert.deepEqual(digests(detail as { digest: string }[]), digests(expected as { digest: string }[]));
    }
  });
});

test("a type of 255 characters is taken and listed, and no longer one", async () => {
  const manifest = (type: string) =>
    imageManifest({ ...config, digest: image.config, mediaType: type }, [], {
      artifactType: type,
      subject: describe(image.manifest, imageManifestType),
    });
  await registry.pushManifest("known", "long", manifest(longestType));
  const listed = await registry.must(200, "GET", `/v2/known/referrers/${image.digest}`);
  const { manifests } = listed.json<{ manifests: { artifactType: string }[] }>();
  assert.deepEqual(
    manifests.map(({ artifactType }) => artifactType),
    [longestType],
  );
  expectError(await registry.putManifest("known", "longer", manifest(tooLong)), 400, "MANIFEST_INVALID");
});

test("what another repository has is missing here", async () => {
  const other = imageManifest({ ...config, digest: image.config }, []);
  await leavesUnchanged(registry, async () => {
    expectError(await registry.putManifest("elsewhere", "bad", other), 404, "MANIFEST_BLOB_UNKNOWN");
    const index = imageIndex([describe(image.manifest, imageManifestType)]);
    expectError(
      await registry.putManifest("elsewhere", "bad", index, imageIndexType),
      404,
      "MANIFEST_BLOB_UNKNOWN",
    );
  });
});

test("a manifest is no blob of an image, and a blob is no manifest of an index", async () => {
  const asBlob = content();
  const blob = await registry.pushBlob("known", asBlob);
  const rows: [Uint8Array, string, string][] = [
    [imageManifest(describe(image.manifest, configType), []), imageManifestType, image.digest],
    [
      imageManifest(describe(asBlob, configType), [describe(image.manifest, layerType)]),
      imageManifestType,
      image.digest,
    ],
    [imageIndex([describe(asBlob, imageManifestType)]), imageIndexType, blob],
  ];
  await leavesUnchanged(registry, async () => {
    for (const [manifest, type, missingDigest] of rows) {
      const answer = await registry.putManifest("known", "bad", manifest, type);
      assert.deepEqual(expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN").detail, [{ digest: missingDigest }]);
    }
  });
});

test("an index may list layers, as the caches of BuildKit do", async () => {
  const layerBytes = content();
  await registry.pushBlob("cache", layerBytes);
  const index = imageIndex([describe(layerBytes, layerType)]);
  const digest = await registry.pushManifest("cache", "cache", index, imageIndexType);
  await registry.must(405, "DELETE", `/v2/cache/blobs/${digestOf(layerBytes)}`);
  await registry.must(200, "GET", `/v2/cache/manifests/${digest}`);
});

test("bytes that were taken as some other type are still checked when they are pushed as an image", async () => {
  const manifest = imageManifest(config, missing, { mediaType: undefined });
  await registry.pushManifest("retyped", "other", manifest, "application/vnd.example+json");
  const answer = await registry.putManifest("retyped", "image", manifest, imageManifestType);
  expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
  const pulled = await registry.must(200, "GET", "/v2/retyped/manifests/other");
  assert.equal(pulled.header("Content-Type"), "application/vnd.example+json");
});

const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;

for (const [what, body] of Object.entries({
  "nested one deeper than clients read": nested(10_001),
  "nested as deep as 4 MiB allow": nested(2_097_148),
  "all opening brackets": "[".repeat(4 * mebibyte),
  "all opening braces": '{"a":'.repeat(800_000),
})) {
  test(`a manifest of unknown type that is ${what} is refused`, async () => {
    expectError(await registry.putManifest("odd", "deep", encode(body), "a/b"), 400, "MANIFEST_INVALID");
  });
}

test("JSON that is deep, or full of surprises, does no harm", async () => {
  const deep = nested(10_000);
  const odd = '{"__proto__":{"a":1},"constructor":1,"mediaType":"a/b","artifactType":"\\u0000\\ud800"}';
  for (const [tag, body] of [
    ["deep", deep],
    ["odd", odd],
  ] as const) {
    await registry.pushManifest("odd", tag, encode(body), "a/b");
    assert.equal((await registry.must(200, "GET", `/v2/odd/manifests/${tag}`)).text, body);
  }
  const subject = { mediaType: "a/b", digest: digestOf(encode(odd)), size: 1 };
  const artifact = encode({
    subject,
    artifactType: "\0\ud800'\"",
    annotations: { "": "\0", __proto__x: "\udfff" },
  });
  await registry.pushManifest("odd", "artifact", artifact, "a/b");
  await registry.must(200, "GET", `/v2/odd/referrers/${subject.digest}`);
});

test("manifests whose bytes do not come as announced are not stored", async () => {
  const size = image.manifest.byteLength;
  const target = "/v2/known/manifests/bad";
  const type = { "Content-Type": imageManifestType };
  const text = new TextDecoder("latin1").decode(image.manifest);
  const chunked = { ...type, "Transfer-Encoding": "chunked" };
  const requests: Record<string, string> = {
    "too few bytes": head("PUT", target, { ...type, "Content-Length": String(size + 1) }) + text,
    "no bytes": head("PUT", target, { ...type, "Content-Length": String(size) }),
    "a chunk that ends early": `${head("PUT", target, chunked)}ffff\r\n${text}`,
    "chunks without an end": `${head("PUT", target, chunked)}${size.toString(16)}\r\n${text}\r\n`,
    "a chunk of no size": `${head("PUT", target, chunked)}zz\r\n${text}\r\n0\r\n\r\n`,
  };
  await leavesUnchanged(registry, async () => {
    for (const [what, bytes] of Object.entries(requests)) {
      const answer = await exchange(registry.url, Buffer.from(bytes, "latin1"), "half-close");
      assert(answer === undefined || answer.status === 400, `${what}: ${answer?.status}`);
    }
  });
  const tooMany = head("PUT", target, { ...type, "Content-Length": String(size) }) + text + text;
  const taken = await exchange(registry.url, Buffer.from(tooMany, "latin1"));
  assert.equal(taken?.header("Docker-Content-Digest"), image.digest, "what follows is another request");
});
