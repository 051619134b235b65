/** What must be in the repository before a manifest is taken, and what need not. */
import assert from "node:assert/strict";
import test from "node:test";
import { dockerManifestType, imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { configType, content, describe, imageIndex, imageManifest, layerType } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const mirror = await startRegistry({ vars: { SPARSE_MANIFESTS: "accept" } });
const configBytes = content();
for (const each of [registry, mirror]) await each.pushBlob("parts", configBytes);

const config = describe(configBytes, configType);
const absent = (mediaType: string, more: object = {}) => describe(content(), mediaType, more);
const urls = { urls: ["https://elsewhere.example/blob"] };
const ociForeign = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
const dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const blake3 = { digest: `blake3:${"a".repeat(64)}` };

const index = (manifests: ReturnType<typeof absent>[]): [Uint8Array, string] => [
  imageIndex(manifests),
  imageIndexType,
];
const image = (...parts: Parameters<typeof imageManifest>): [Uint8Array, string] => [
  imageManifest(...parts),
  imageManifestType,
];

const refused: Record<string, [manifest: Uint8Array, type: string]> = {
  "a config with urls": image(absent(configType, urls), []),
  "a config of a type that is not to be uploaded": image(absent(dockerForeign), []),
  "a config of such a type with urls": image(absent(ociForeign, urls), []),
  "a layer": image(config, [absent(layerType)]),
  "a layer with no urls in its list": image(config, [absent(layerType, { urls: [] })]),
  "a layer whose urls are text": image(config, [absent(layerType, { urls: "https://elsewhere.example/" })]),
  "a child with urls": index([absent(imageManifestType, urls)]),
  "an index in an index with urls": index([absent(imageIndexType, urls)]),
  "a child of Docker's type with urls": index([absent(dockerManifestType, urls)]),
};

for (const [what, [manifest, type]] of Object.entries(refused)) {
  test(`a manifest without ${what} is refused`, async () => {
    expectError(await registry.putManifest("parts", "v1", manifest, type), 404, "MANIFEST_BLOB_UNKNOWN");
    await mirror.pushManifest("parts", "v1", manifest, type);
  });
}

const taken: Record<string, [manifest: Uint8Array, type: string]> = {
  "a layer with urls": image(config, [absent(layerType, urls)]),
  "a layer of a type that is not to be uploaded": image(config, [absent(ociForeign)]),
  "Docker's foreign layer": image(config, [absent(dockerForeign, urls)]),
  "a layer with urls of an algorithm that the registry does not have": image(config, [
    absent(layerType, { ...urls, ...blake3 }),
  ]),
  "a layer with urls, in an index": index([absent(layerType, urls)]),
  "a layer of a type that is not to be uploaded, in an index": index([absent(dockerForeign, urls)]),
  "its subject": image(config, [], { subject: absent(imageManifestType) }),
  "its subject, of an algorithm that the registry does not have": image(config, [], {
    subject: absent(imageManifestType, blake3),
  }),
};

for (const [what, [manifest, type]] of Object.entries(taken)) {
  test(`a manifest without ${what} is taken`, async () => {
    await registry.pushManifest("parts", "v1", manifest, type);
  });
}

const neverThere: Record<string, [manifest: Uint8Array, type: string]> = {
  "a config": image(absent(configType, blake3), []),
  "a config with urls": image(absent(configType, { ...blake3, ...urls }), []),
  "a layer": image(config, [absent(layerType, blake3)]),
  "a child": index([absent(imageManifestType, blake3)]),
  "a layer in an index": index([absent(layerType, blake3)]),
};

for (const [what, [manifest, type]] of Object.entries(neverThere)) {
  test(`${what} of an algorithm that the registry does not have is missing`, async () => {
    const answer = await registry.putManifest("parts", "v1", manifest, type);
    const { detail } = expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
    assert.deepEqual(detail, [blake3]);
  });
}

test("a manifest that is there is checked again when it is pushed again", async () => {
  const child = imageManifest(config, []);
  const digest = await registry.pushManifest("parts", "child", child);
  const parent = imageIndex([describe(child, imageManifestType)]);
  await registry.pushManifest("parts", "index", parent, imageIndexType);
  await registry.must(202, "DELETE", `/v2/parts/manifests/${digest}`);
  const answer = await registry.putManifest("parts", "index", parent, imageIndexType);
  expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
  await registry.pushManifest("parts", "child", child);
  await registry.pushManifest("parts", "index", parent, imageIndexType);
});
