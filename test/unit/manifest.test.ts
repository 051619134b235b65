import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { annotationsOf, readManifest } from "../../src/oci/manifest.ts";
import type { ManifestFacts, Requirement } from "../../src/oci/manifest-fields.ts";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../src/oci/media-type.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageIndex,
  imageManifest,
  layerType,
  unknownDigest,
} from "../support/content.ts";

const config = describe(content(), configType);
const layer = describe(content(), layerType);
const child = describe(content(), imageManifestType);
const requiredAs = (required: Requirement, { digest }: { digest: string }) => ({ digest, required });

function factsOf(manifest: Uint8Array, contentType?: string): ManifestFacts {
  const reading = readManifest(manifest, contentType);
  assert(reading.ok, reading.ok ? "" : reason(reading));
  return reading.facts;
}

function reason(reading: ReturnType<typeof readManifest>): string {
  return reading.ok ? "accepted" : reading.reason;
}

test("an image needs its config and layers, whosever type it has", () => {
  for (const mediaType of [imageManifestType, dockerManifestType]) {
    const facts = factsOf(imageManifest(config, [layer], { mediaType }), mediaType);
    assert.deepEqual(facts, {
      mediaType,
      references: [requiredAs("blob", config), requiredAs("blob", layer)],
      artifactType: configType,
    });
  }
});

test("an index needs its manifests, whosever type it has", () => {
  for (const mediaType of [imageIndexType, dockerManifestListType]) {
    const facts = factsOf(imageIndex([child], { mediaType }), mediaType);
    assert.deepEqual(facts, { mediaType, references: [requiredAs("manifest", child)] });
  }
});

test("what an index lists as no manifest may be a blob too", () => {
  const facts = factsOf(imageIndex([child, layer]), imageIndexType);
  assert.deepEqual(facts.references, [requiredAs("manifest", child), requiredAs("content", layer)]);
});

test("the type is the Content-Type's, or the manifest's own", () => {
  assert.equal(factsOf(imageManifest(config, [])).mediaType, imageManifestType);
  assert.equal(
    factsOf(imageManifest(config, [], { mediaType: undefined }), imageManifestType).mediaType,
    imageManifestType,
  );
});

test("a Content-Type in other letters is the same type, and the manifest says how it is written", () => {
  const contentType = imageManifestType.toUpperCase();
  assert.equal(factsOf(imageManifest(config, []), contentType).mediaType, imageManifestType);
});

test("a layer with urls is not needed, as it may be elsewhere", () => {
  const foreign = { ...layer, urls: ["https://elsewhere.example/layer"] };
  const facts = factsOf(imageManifest(config, [foreign]));
  assert.deepEqual(facts.references[1], { digest: layer.digest });
});

test("a layer of a type that is not to be uploaded is not needed either", () => {
  for (const mediaType of [
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  ]) {
    const facts = factsOf(imageManifest(config, [{ ...layer, mediaType }]));
    assert.deepEqual(facts.references[1], { digest: layer.digest }, mediaType);
  }
});

test("the subject may be of an algorithm that the registry does not know", () => {
  const digest = `blake3:${"a".repeat(64)}`;
  assert.equal(factsOf(imageManifest(config, [], { subject: { ...child, digest } })).subject, digest);
});

test("sizes may be as large as 64 bits allow", () => {
  const size = 9223372036854775807n;
  const text = JSON.stringify({ ...layer, size: 0 }).replace('"size":0', `"size":${size}`);
  factsOf(encode(new TextDecoder().decode(imageManifest(config, [])).replace("[]", `[${text}]`)));
});

test("the subject is kept apart from the references, and may be null", () => {
  assert.equal(factsOf(imageManifest(config, [], { subject: child })).subject, child.digest);
  assert.equal(factsOf(imageIndex([], { subject: child })).subject, child.digest);
  assert.equal(factsOf(imageManifest(config, [], { subject: null })).subject, undefined);
});

test("the artifact type is the manifest's, else its config's; an index has none of its own", () => {
  assert.equal(factsOf(imageManifest(config, [], { artifactType: "a/b" })).artifactType, "a/b");
  assert.equal(factsOf(imageManifest(config, [], { artifactType: "" })).artifactType, configType);
  assert.equal(factsOf(imageIndex([], { artifactType: "a/b" })).artifactType, "a/b");
  assert.equal(factsOf(imageIndex([])).artifactType, undefined);
});

test("a manifest of another type keeps alive what it seems to name, and needs nothing", () => {
  const manifest = encode({
    config,
    layers: [layer, "text", { digest: "no digest" }],
    blobs: { digest: child.digest },
  });
  assert.deepEqual(factsOf(manifest, "application/x").references, [
    { digest: config.digest },
    { digest: layer.digest },
    { digest: child.digest },
  ]);
  assert.deepEqual(factsOf(encode({}), "application/x").references, []);
});

test("in a manifest of another type, what has not the form of a subject, type or annotation is passed over", () => {
  const statement = {
    subject: [{ name: "a", digest: { sha256: "x" } }],
    artifactType: 1,
    annotations: { a: 1 },
  };
  const type = "application/vnd.in-toto+json";
  assert.deepEqual(factsOf(encode(statement), type), { mediaType: type, references: [] });
  assert.equal(annotationsOf(encode(statement)), undefined);
  const artifact = { subject: child, artifactType: "a/b" };
  assert.deepEqual(factsOf(encode(artifact), type), {
    mediaType: type,
    references: [],
    subject: child.digest,
    artifactType: "a/b",
  });
});

test("annotations are read from the bytes", () => {
  assert.deepEqual(annotationsOf(imageManifest(config, [], { annotations: { a: "b" } })), { a: "b" });
  assert.equal(annotationsOf(imageManifest(config, [])), undefined);
});

const image = (more: object) => imageManifest(config, [layer], more);
const withLayer = (more: object) => imageManifest(config, [{ ...layer, ...more }]);

const refused: [what: string, manifest: Uint8Array, reason: RegExp, contentType?: string | undefined][] = [
  ["nothing", new Uint8Array(), /^not JSON in UTF-8/],
  ["text", encode("text"), /^not JSON in UTF-8/],
  ["half of an object", imageManifest(config, []).slice(0, -1), /^not JSON in UTF-8/],
  ["bytes that are not UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), /^not JSON in UTF-8/],
  ["a byte order mark", encode(`\ufeff${JSON.stringify({})}`), /^not JSON in UTF-8/],
  ["an array", encode("[]"), /^not a JSON object/],
  ["null", encode("null"), /^not a JSON object/],
  ["a type that is not one", image({ mediaType: "image" }), /^mediaType is not a media type/],
  ["a type that is a number", image({ mediaType: 1 }), /^mediaType is not a media type/],
  ["a Content-Type that is not one", image({}), /^the Content-Type "text" is not/, "text"],
  ["two types", image({}), /^mediaType is .*, but the Content-Type is/, imageIndexType],
  ["no type at all", image({ mediaType: undefined }), /^neither a Content-Type header nor/, undefined],
  ["schema version 1", image({ schemaVersion: 1 }), /^schemaVersion must be 2/],
  ["no schema version", image({ schemaVersion: undefined }), /^schemaVersion must be 2/],
  ["an image that is an index too", image({ manifests: [] }), /^an image manifest has no field manifests/],
  ["an index that is an image too", imageIndex([], { layers: [] }), /^an index has no field layers/],
  ["an index with a config", imageIndex([], { config }), /^an index has no field config/],
  ["no config", image({ config: undefined }), /^config must be a descriptor/],
  ["a config that is an array", image({ config: [config] }), /^config must be a descriptor/],
  ["no layers", image({ layers: undefined }), /^layers must be an array of descriptors/],
  ["layers that are an object", image({ layers: { 0: layer } }), /^layers must be an array of descriptors/],
  ["a layer that is text", image({ layers: [layer.digest] }), /^layers\[0\] must be a descriptor/],
  ["a layer that is null", image({ layers: [layer, null] }), /^layers\[1\] must be a descriptor/],
  ["no manifests", imageIndex([], { manifests: undefined }), /^manifests must be an array/],
  ["a layer without type", withLayer({ mediaType: undefined }), /^layers\[0\] has no mediaType/],
  ["a layer without digest", withLayer({ digest: undefined }), /^layers\[0\] has no valid digest/],
  ["a digest that is none", withLayer({ digest: "sha256" }), /^layers\[0\] has no valid digest/],
  ["a digest too short", withLayer({ digest: "sha256:abc" }), /^layers\[0\] has a malformed digest/],
  ["no size", withLayer({ size: undefined }), /^layers\[0\] has no valid size/],
  ["a negative size", withLayer({ size: -1 }), /^layers\[0\] has no valid size/],
  ["a fraction of a size", withLayer({ size: 0.5 }), /^layers\[0\] has no valid size/],
  ["a size as text", withLayer({ size: "1" }), /^layers\[0\] has no valid size/],
  ["a size beyond all", withLayer({ size: 1e300 }), /^layers\[0\] has no valid size/],
  ["a subject that is text", image({ subject: child.digest }), /^subject must be a descriptor/],
  [
    "a subject that is malformed",
    image({ subject: { ...child, digest: "sha256:abc" } }),
    /^subject has a malformed/,
  ],
  ["an artifact type that is a number", image({ artifactType: 1 }), /^artifactType must be a string/],
  ["annotations that are an array", image({ annotations: ["a"] }), /^annotations must be an object/],
  ["an annotation that is a number", image({ annotations: { a: 1 } }), /^annotations must be an object/],
];

test("what is wrong with a manifest is said", () => {
  for (const [what, manifest, expected, contentType] of refused) {
    assert.match(reason(readManifest(manifest, contentType)), expected, what);
  }
});

test("no JSON makes the reader throw", () => {
  const types = fc.constantFrom(imageManifestType, imageIndexType, "application/x", undefined);
  const field = fc.constantFrom(
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
  );
  const descriptorLike = fc.constantFrom<unknown>(config, [layer], 2, [child, null], {
    digest: unknownDigest(),
  });
  const value = fc.oneof(fc.jsonValue(), descriptorLike);
  fc.assert(
    fc.property(fc.dictionary(field, value), types, (manifest, type) => {
      const reading = readManifest(encode(manifest), type);
      assert.equal(typeof reading.ok, "boolean");
    }),
  );
});
