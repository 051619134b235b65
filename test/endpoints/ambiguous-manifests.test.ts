/**
 * Manifests that two clients could read differently. Go's JSON takes a key for a field's whatever its case, and the last
 * of several; so each of these would be verified by one reading and pulled by another.
 */
import assert from "node:assert/strict";
import test from "node:test";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { configType, content, type Descriptor, describe, encode, layerType } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { leavesUnchanged, replicaHas } from "../support/snapshot.ts";

const registry = await startRegistry();
const repository = "ambiguous";
const image = await registry.pushImage(repository, "image");
const [configBytes, layerBytes] = [content(), content()];
await Promise.all([configBytes, layerBytes].map((bytes) => registry.pushBlob(repository, bytes)));
await replicaHas(registry, 4);

const config = describe(configBytes, configType);
const layer = describe(layerBytes, layerType);
const child = describe(image.manifest, imageManifestType);

/** The source of an object of these members, each a text. */
const object = (...members: string[]) => `{${members.join(",")}}`;
const member = (name: string, value: unknown) => `"${name}":${JSON.stringify(value)}`;
const sourceOf = (descriptor: Descriptor, ...more: string[]) =>
  object(...Object.entries(descriptor).map(([name, value]) => member(name, value)), ...more);

const imageOf = (...more: string[]) =>
  object('"schemaVersion":2', member("config", config), member("layers", [layer]), ...more);
const indexOf = (...more: string[]) => object('"schemaVersion":2', member("manifests", [child]), ...more);
const withConfig = (source: string) => object('"schemaVersion":2', `"config":${source}`, '"layers":[]');
const withLayer = (source: string) =>
  object('"schemaVersion":2', member("config", config), `"layers":[${sourceOf(layer)},${source}]`);
const withChild = (source: string) => object('"schemaVersion":2', `"manifests":[${source}]`);
const withSubject = (source: string) => imageOf(`"subject":${source}`);
const withSize = (size: string) => withLayer(sourceOf(layer).replace(/"size":\d+/, `"size":${size}`));
const withPlatform = (source: string) => withChild(sourceOf(child, `"platform":${source}`));

const kinds: { of: (...more: string[]) => string; types: string[] }[] = [
  { of: imageOf, types: [imageManifestType, dockerManifestType] },
  { of: indexOf, types: [imageIndexType, dockerManifestListType] },
];

/** Known fields as a client may take them, and no schema has them. */
const foldedAtTop = [
  "SchemaVersion",
  "schemaversion",
  "MEDIATYPE",
  "mediatype",
  "ArtifactType",
  "Config",
  "Layers",
  "layer\u017f",
  "layer\\u017f",
  "Manifests",
  "manife\u017fts",
  "\\u0053ubject",
  "annotationS",
  "FsLayers",
  "fslayers",
  "Blobs",
];

for (const { of, types } of kinds) {
  for (const type of types) {
    for (const name of foldedAtTop) {
      test(`${type} with a field "${name}" is refused`, () =>
        refused(of(member(name, [])), type, /which may be read as/));
    }
    for (const name of ["schemaVersion", "artifactType", "subject", "annotations", "fsLayers", "blobs"]) {
      test(`${type} with ${name} twice is refused`, () =>
        refused(
          of(member(name, null), member(name, null)),
          type,
          new RegExp(`${name} twice|schemaVersion must be`),
        ));
    }
  }
}

const repeated: Record<string, [source: string, type: string]> = {
  layers: [imageOf(member("layers", [])), imageManifestType],
  "layers before": [object(member("layers", []), imageOf().slice(1, -1)), imageManifestType],
  "layers, escaped": [imageOf(member("la\\u0079ers", [])), imageManifestType],
  config: [imageOf(member("config", config)), imageManifestType],
  manifests: [indexOf(member("manifests", [])), imageIndexType],
  mediaType: [
    imageOf(member("mediaType", imageIndexType), member("mediaType", imageManifestType)),
    imageManifestType,
  ],
};

for (const [what, [source, type]] of Object.entries(repeated)) {
  test(`a manifest with ${what} twice is refused`, () =>
    refused(source, type, /clients would read different things/));
}

const places: Record<string, [within: (source: string) => string, descriptor: Descriptor, type: string]> = {
  config: [withConfig, config, imageManifestType],
  "layers[1]": [withLayer, layer, imageManifestType],
  "manifests[0]": [withChild, child, imageIndexType],
  subject: [withSubject, child, imageManifestType],
};

const foldedInDescriptor = [
  "MediaType",
  "mediatype",
  "Digest",
  "dige\u017ft",
  "dige\\u017ft",
  "Size",
  "\u017fize",
  "URLs",
  "Annotations",
  "Data",
  "artifacttype",
  "Platform",
];

for (const [place, [within, descriptor, type]] of Object.entries(places)) {
  const expected = (text: string) => new RegExp(`${place.replace(/[[\]]/g, "\\$&")} has ${text}`);
  for (const name of foldedInDescriptor) {
    test(`a field "${name}" in ${place} is refused`, () =>
      refused(within(sourceOf(descriptor, member(name, null))), type, expected("a field")));
  }
  for (const name of ["mediaType", "digest", "size", "d\\u0069gest"]) {
    test(`"${name}" twice in ${place} is refused`, () => {
      const first = Object.entries(descriptor).find(([each]) => each === JSON.parse(`"${name}"`));
      return refused(
        within(sourceOf(descriptor, member(name, first?.[1]))),
        type,
        /clients would read different things/,
      );
    });
  }
  for (const name of ["OS", "o\u017f", "Architecture", "VARIANT", "OS.Version", "os.Features"]) {
    test(`a field "${name}" in the platform of ${place} is refused`, () =>
      refused(
        within(sourceOf(descriptor, `"platform":${object('"os":"linux"', member(name, "x"))}`)),
        type,
        new RegExp(`the platform of ${place.replace(/[[\]]/g, "\\$&")} has a field`),
      ));
  }
}

for (const [what, size] of Object.entries({
  "a fraction": "1.5",
  "a fraction of nothing": "100.0",
  "an exponent": "1e2",
  "an exponent in capitals": "1E2",
  "less than nothing": "-1",
  "minus nothing": "-0",
  "one more than an int64": "9223372036854775808",
  "twenty digits": "10000000000000000000",
  text: '"100"',
  nothing: "null",
})) {
  test(`a size that is ${what} is refused`, () =>
    refused(withSize(size), imageManifestType, /layers\[1\] has no valid size/));
}

for (const version of ["2.0", "2e0", "20e-1", "1", "3", '"2"', "null"]) {
  test(`a schemaVersion of ${version} is refused`, () =>
    refused(
      imageOf().replace('"schemaVersion":2', `"schemaVersion":${version}`),
      imageManifestType,
      /schemaVersion must be 2/,
    ));
}

const taken: Record<string, [source: string, type: string]> = {
  "the largest size": [withSize("9223372036854775807"), imageManifestType],
  "a size of 0 for a blob that has bytes": [withSize("0"), imageManifestType],
  "keys of annotations that are fields elsewhere": [
    imageOf(member("annotations", { Layers: "a", layers: "b", DIGEST: "c", Size: "d" })),
    imageManifestType,
  ],
  "keys of a descriptor's annotations that are fields elsewhere": [
    withLayer(sourceOf(layer, `"annotations":{"Digest":"a","digest":"b","MediaType":"c","os":"d","OS":"e"}`)),
    imageManifestType,
  ],
  "the same annotation twice": [imageOf('"annotations":{"a":"b","a":"c"}'), imageManifestType],
  "fields that nobody knows, in any case": [
    imageOf('"x":1,"X":2,"x":3,"layer":[],"history":[],"Tag":"a"'),
    imageManifestType,
  ],
  "a descriptor's fields at the top, and the top's in a descriptor": [
    withLayer(sourceOf(layer, '"Config":1,"LAYERS":2,"Subject":3')).replace("{", '{"Digest":"a","Size":1,'),
    imageManifestType,
  ],
  "fields that are escaped": [imageOf().replace('"layers"', '"la\\u0079ers"'), imageManifestType],
  "a platform with all its fields, and unknown ones": [
    withPlatform(
      '{"os":"windows","architecture":"amd64","variant":"","os.version":"10","os.features":[],"Features":1}',
    ),
    imageIndexType,
  ],
  "objects of unknown fields, in any case": [
    imageOf('"x":{"Layers":1,"layers":2,"Layers":3}'),
    imageManifestType,
  ],
  "folded and repeated fields, under an unknown type": [
    imageOf('"Layers":[],"layers":[],"SIZE":1'),
    "application/vnd.example+json",
  ],
};

for (const [what, [source, type]] of Object.entries(taken)) {
  test(`a manifest with ${what} is taken`, async () => {
    await registry.pushManifest(repository, "taken", encode(source), type);
    assert.equal((await registry.must(200, "GET", `/v2/${repository}/manifests/taken`)).text, source);
  });
}

async function refused(source: string, type: string, reason: RegExp): Promise<void> {
  JSON.parse(source);
  await leavesUnchanged(registry, async () => {
    const answer = await registry.putManifest(repository, "refused", encode(source), type);
    assert.match(expectError(answer, 400, "MANIFEST_INVALID").message, reason);
  });
}
