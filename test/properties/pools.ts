/** What the properties push and ask for: few things, so that requests meet them; and what is almost one of them. */
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../src/oci/media-type.ts";
import {
  configType,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";

/** Bytes that are always the same. */
function filler(seed: number, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 31 + seed * 17) % 251);
}

export const blobs = [0, 1, 10, 300, 5000].map((size, seed) => filler(seed, size));
const [empty = filler(0, 0), , config = filler(2, 10), layer = filler(3, 300), large = filler(4, 5000)] =
  blobs;

const image = imageManifest(describe(config, configType), [describe(layer, layerType)]);
const otherImage = imageManifest(describe(config, configType), [
  describe(large, layerType),
  describe(layer, layerType, { urls: ["https://elsewhere.example/"] }),
]);
const dockerImage = imageManifest(describe(empty, configType), [], { mediaType: dockerManifestType });
const untyped = imageManifest(describe(config, configType), [], { mediaType: undefined });
const artifact = imageManifest(describe(config, "application/vnd.example.config"), [], {
  subject: describe(image, imageManifestType),
  annotations: { about: "an image" },
});
const typedArtifact = imageManifest(describe(config, configType), [], {
  subject: describe(image, imageManifestType),
  artifactType: "application/vnd.example.signature",
});
const orphan = imageIndex([], { subject: describe(filler(9, 9), imageManifestType) });

/** Manifests and what is none, each with the type that it is for. */
export const manifests: { bytes: Uint8Array; type: string }[] = [
  { bytes: image, type: imageManifestType },
  { bytes: otherImage, type: imageManifestType },
  { bytes: dockerImage, type: dockerManifestType },
  { bytes: untyped, type: imageManifestType },
  { bytes: artifact, type: imageManifestType },
  { bytes: typedArtifact, type: imageManifestType },
  { bytes: orphan, type: imageIndexType },
  { bytes: imageIndex([describe(image, imageManifestType)]), type: imageIndexType },
  {
    bytes: imageIndex([describe(dockerImage, dockerManifestType)], { mediaType: dockerManifestListType }),
    type: dockerManifestListType,
  },
  { bytes: imageIndex([describe(large, layerType)]), type: imageIndexType },
  { bytes: imageIndex([describe(layer, imageManifestType)]), type: imageIndexType },
  { bytes: imageManifest(describe(image, configType), []), type: imageManifestType },
  { bytes: encode({ blobs: [describe(large, layerType)] }), type: "application/vnd.example+json" },
  {
    bytes: encode({ parts: [{ a: { DIGEST: describe(large, layerType).digest } }] }),
    type: "application/json",
  },
  { bytes: encode({ schemaVersion: 1, fsLayers: [{ blobSum: digestOf(layer) }] }), type: "application/json" },
  {
    bytes: imageManifest(describe(config, configType), [], { Layers: [describe(layer, layerType)] }),
    type: imageManifestType,
  },
  {
    bytes: imageManifest(describe(config, configType), [], { subject: describe(layer, layerType) }),
    type: imageManifestType,
  },
  {
    bytes: imageManifest(describe(filler(6, 6), configType, { urls: ["https://elsewhere.example/"] }), []),
    type: imageManifestType,
  },
  { bytes: imageManifest(describe(filler(8, 8), configType), []), type: imageManifestType },
  { bytes: imageManifest(describe(config, configType), [], { schemaVersion: 1 }), type: imageManifestType },
  { bytes: image.slice(0, -1), type: imageManifestType },
  { bytes: encode("[]"), type: imageManifestType },
  { bytes: empty, type: imageManifestType },
];

/** Digests of all that, of what is nowhere, and texts that are no digests. */
export const blobDigests = [
  ...blobs.map((bytes) => digestOf(bytes)),
  digestOf(large, "sha512"),
  digestOf(empty, "sha512"),
  digestOf(filler(7, 7)),
];
export const manifestDigests = [
  ...manifests.map(({ bytes }) => digestOf(bytes)),
  digestOf(image, "sha512"),
  digestOf(filler(9, 9)),
];
export const badDigests = [
  "sha256:",
  "sha256:abc",
  digestOf(config).toUpperCase(),
  `${digestOf(config)}0`,
  `sha512:${"0".repeat(64)}`,
  "md5:d41d8cd98f00b204e9800998ecf8427e",
  "blake3+x:a=_-",
  "sha256:%zz",
  ":",
  "a:b:c",
  "constructor:a",
];

export const tags = ["latest", "v1", "1.0_rc-2", "_"];
export const badTags = [".dot", "-dash", "a".repeat(129), "a b", "ä", "a%", "a+b", "a*"];

export const goodNames = ["props/a", "props/b"];
export const badNames = [
  "Upper",
  "props/",
  "a//b",
  "-a",
  "a-",
  "a..b",
  "a___b",
  "a%252Fb",
  "%61",
  "a%",
  "a/_b",
].concat("a".repeat(256));

/** The digest with its colon as some clients write it, or a text as it may stand in a path. */
export function inPath(text: string, isEncoded: boolean): string {
  if (isEncoded) return encodeURIComponent(text);
  return text.replace(/[^\x21-\x7e]|[#?/\\^`{|}<>"]/g, encodeURIComponent);
}
