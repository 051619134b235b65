/** Manifests that name as much as 4 MiB hold: more than one parameter of a statement does. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { serve } from "../support/registry.ts";

const registry = await serve();

/** Digests of nothing that any test pushes. */
const absent = (count: number) =>
  Array.from({ length: count }, (_, index) => `sha256:${index.toString(16).padStart(64, "0")}`);

test("an index of 25,000 manifests that are not there is answered with all of them", async () => {
  await registry.pushBlob("large", content());
  const digests = absent(25_000);
  const index = imageIndex(digests.map((digest) => ({ mediaType: imageManifestType, digest, size: 1 })));
  const answer = await registry.putManifest("large", "index", index, imageIndexType);
  const { detail } = expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
  assert.deepEqual(
    (detail as { digest: string }[]).map(({ digest }) => digest),
    digests,
  );
});

test("a manifest of 35,000 descriptors is stored, and served as it was pushed", async () => {
  const manifest = encode({ blobs: absent(35_000).map((digest) => ({ digest })) });
  await registry.pushManifest("large", "descriptors", manifest, "application/vnd.example+json");
  const pulled = await registry.must(200, "GET", "/v2/large/manifests/descriptors");
  assert.deepEqual(pulled.bytes, manifest);
});

test("a layer that is not there is missing once, however often an image names it", async () => {
  const config = content();
  await registry.pushBlob("large", config);
  const layer = describe(content(), layerType);
  const image = imageManifest(describe(config, configType), Array(25_000).fill(layer));
  const { detail } = expectError(
    await registry.putManifest("large", "image", image),
    404,
    "MANIFEST_BLOB_UNKNOWN",
  );
  assert.deepEqual(detail, [{ digest: layer.digest }]);
});
