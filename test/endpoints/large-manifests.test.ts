/** Manifests that name as much as 4 MiB hold: more than one parameter of a statement does. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();

/** Digests of nothing that any test pushes. */
const absent = (count: number) =>
  Array.from({ length: count }, (_, index) => `sha256:${index.toString(16).padStart(64, "0")}`);

test("an index of 20,000 manifests that are not there is answered with all of them", async () => {
  await registry.pushBlob("large", content());
  const digests = absent(20_000);
  const index = imageIndex(digests.map((digest) => ({ mediaType: imageManifestType, digest, size: 1 })));
  const answer = await registry.putManifest("large", "index", index, imageIndexType);
  const { detail } = expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
  assert.deepEqual(
    (detail as { digest: string }[]).map(({ digest }) => digest),
    digests,
  );
});

test("a manifest of 20,000 descriptors is stored, and served as it was pushed", async () => {
  const manifest = encode({ blobs: absent(20_000).map((digest) => ({ digest })) });
  await registry.pushManifest("large", "descriptors", manifest, "application/vnd.example+json");
  const pulled = await registry.must(200, "GET", "/v2/large/manifests/descriptors");
  assert.deepEqual(pulled.bytes, manifest);
});

test("an index of 14,000 manifests is stored", async () => {
  const image = await registry.pushImage("large", "image");
  const child = describe(image.manifest, imageManifestType);
  const index = imageIndex(Array(14_000).fill(child));
  await registry.pushManifest("large", "index", index, imageIndexType);
});

const one = describe(content(), layerType);
const tooMany: Record<string, [manifest: Uint8Array, type: string]> = {
  "an index of 20,001 manifests": [
    imageIndex(absent(20_001).map((digest) => ({ mediaType: imageManifestType, digest, size: 1 }))),
    imageIndexType,
  ],
  "an image of a config and 20,000 layers": [
    imageManifest(describe(content(), configType), Array(20_000).fill(one)),
    imageManifestType,
  ],
  "20,001 digests of an algorithm that the registry does not have": [
    imageIndex(Array(20_001).fill({ mediaType: layerType, digest: "blake3:a", size: 1 })),
    imageIndexType,
  ],
  "a manifest of unknown type that names 20,001 digests": [
    encode({ blobs: absent(20_001).map((digest) => ({ digest })) }),
    "application/vnd.example+json",
  ],
};

for (const [what, [manifest, type]] of Object.entries(tooMany)) {
  test(`${what}: more references than a manifest may have`, async () => {
    const answer = await registry.putManifest("large", "too-many", manifest, type);
    assert.match(expectError(answer, 400, "MANIFEST_INVALID").message, /more than 20000 references/);
  });
}

test("a layer that is not there is missing once, however often an image names it", async () => {
  const config = content();
  await registry.pushBlob("large", config);
  const layer = describe(content(), layerType);
  const image = imageManifest(describe(config, configType), Array(15_000).fill(layer));
  const { detail } = expectError(
    await registry.putManifest("large", "image", image),
    404,
    "MANIFEST_BLOB_UNKNOWN",
  );
  assert.deepEqual(detail, [{ digest: layer.digest }]);
});
