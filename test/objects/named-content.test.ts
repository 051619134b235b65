/** What manifests name is kept, wherever in them it stands: nobody knows what clients of a type read. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
} from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance, collect } = await startTimedRegistry({
  vars: { GC_GRACE: "1h", UNTAGGED_TTL: "1h", DELETE_DELAY: "0s" },
});
const repository = "named";

/** Lets all of the repository go that may go. */
async function collectAll(digests: string[]): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await advance(2 * hourMs);
    await collect([repository], digests);
  }
}

const configBytes = content();
const config = describe(configBytes, configType);
const unknownType = "application/vnd.example+json";
const nestedIn = (depth: number, digest: string) =>
  `${'{"x":['.repeat(depth)}{"digest":"${digest}"}${"]}".repeat(depth)}`;
const image = (more: object) => new TextDecoder().decode(imageManifest(config, [], more));

/** Where a manifest names a blob: its source, and the type that it is pushed under. */
const places: Record<string, [source: (digest: string) => string, type: string]> = {
  "in an array that is the layers": [(digest) => `{"layers":[{"digest":"${digest}"}]}`, unknownType],
  "as the subject": [(digest) => `{"subject":{"digest":"${digest}"}}`, unknownType],
  "as a second subject": [
    (digest) => `{"Subject":{"digest":"${digest}"},"subject":{"digest":"sha256:${"0".repeat(64)}"}}`,
    unknownType,
  ],
  "at the top": [(digest) => `{"digest":"${digest}"}`, unknownType],
  "as a blobSum": [(digest) => `{"fsLayers":[{"blobSum":"${digest}"}]}`, unknownType],
  "4,000 levels down": [(digest) => nestedIn(4000, digest), unknownType],
  "in an object of another size and type": [
    (digest) => `{"models":{"a":{"digest":"${digest}","size":"large","mediaType":null}}}`,
    unknownType,
  ],
  "under a key in another case": [(digest) => `{"a":{"DIGE\u017fT":"${digest}"}}`, unknownType],
  "under a key that is escaped": [(digest) => `{"a":{"dig\\u0065st":"${digest}"}}`, unknownType],
  "before another digest under the same key": [
    (digest) => `{"a":{"digest":"${digest}","digest":"sha256:${"0".repeat(64)}"}}`,
    unknownType,
  ],
  "in a list before another one of the same name": [
    (digest) => `{"layers":[{"digest":"${digest}"}],"layers":[]}`,
    unknownType,
  ],
  "in an image that is pushed under a type of JSON": [
    (digest) => image({ mediaType: undefined, Layers: [{ digest }] }),
    "application/json",
  ],
  "in an image's unknown field": [(digest) => image({ signatures: [{ digest }] }), imageManifestType],
  "in an image's annotations": [(digest) => image({ annotations: { digest } }), imageManifestType],
  "in an image's blobs": [(digest) => image({ blobs: [{ digest }] }), imageManifestType],
  "as an image's subject": [
    (digest) => image({ subject: { mediaType: imageManifestType, digest, size: 1 } }),
    imageManifestType,
  ],
  "as an image's layer that may be elsewhere": [
    (digest) =>
      new TextDecoder().decode(
        imageManifest(config, [{ mediaType: "a/b", digest, size: 1, urls: ["https://elsewhere.example"] }]),
      ),
    imageManifestType,
  ],
};

for (const [where, [source, type]] of Object.entries(places)) {
  test(`a blob that is named ${where} outlives collection, and goes with its manifest`, async () => {
    const bytes = content();
    await registry.pushBlob(repository, configBytes);
    const [digest, nobodys] = [
      await registry.pushBlob(repository, bytes),
      await registry.pushBlob(repository, content()),
    ];
    const manifest = encode(source(digest));
    await registry.pushManifest(repository, "v1", manifest, type);
    await collectAll([digest, nobodys, config.digest]);
    const pulled = await registry.must(200, "GET", `/v2/${repository}/blobs/${digest}`);
    assert.deepEqual(pulled.bytes, bytes);
    const refused = await registry.send("DELETE", `/v2/${repository}/blobs/${digest}`);
    expectError(refused, 405, "UNSUPPORTED");
    assert.equal((await registry.get(`/v2/${repository}/blobs/${nobodys}`)).status, 404);

    await registry.must(202, "DELETE", `/v2/${repository}/manifests/${digestOf(manifest)}`);
    await collectAll([digest, config.digest]);
    assert.equal((await registry.get(`/v2/${repository}/blobs/${digest}`)).status, 404);
  });
}

test("a manifest that one of unknown type names somewhere is not an untagged one; a subject is", async () => {
  await registry.pushBlob(repository, configBytes);
  const [child, subject] = ["child", "subject"].map((name) =>
    imageManifest(config, [], { annotations: { name } }),
  );
  assert(child !== undefined && subject !== undefined);
  for (const each of [child, subject]) await registry.pushManifest(repository, digestOf(each), each);
  const parent = encode({ parts: [{ digest: digestOf(child) }] });
  await registry.pushManifest(repository, "v1", parent, unknownType);
  const referrer = imageIndex([], { subject: describe(subject, imageManifestType) });
  await registry.pushManifest(repository, digestOf(referrer), referrer, imageIndexType);
  await collectAll([config.digest]);
  await registry.must(200, "GET", `/v2/${repository}/manifests/${digestOf(child)}`);
  for (const gone of [subject, referrer]) {
    assert.equal((await registry.get(`/v2/${repository}/manifests/${digestOf(gone)}`)).status, 404);
  }
});
