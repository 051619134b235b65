import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../../src/oci/media-type.ts";
import { configType, describe, imageManifest, layerType } from "../../support/content.ts";
import { isKept, isRefused, pushed, repository } from "../kept.ts";
import type { Section } from "../statement.ts";
import { makeImage, makeIndex } from "../world.ts";

export const imageManifests: Section = {
  document: "image-spec",
  title: "OCI Image Manifest Specification",
  statements: [
    {
      id: "image-schema-version",
      quote:
        "For this version of the specification, this MUST be `2` to ensure backward compatibility with older versions of Docker.",
      choice: "Anything else is `MANIFEST_INVALID`, in images and indexes.",
      check: async ({ registry }) => {
        for (const schemaVersion of [1, 3, "2", undefined]) {
          await isRefused(registry, await makeImage(registry, repository, { schemaVersion }));
          await isRefused(registry, makeIndex({ schemaVersion }), imageIndexType);
        }
      },
    },
    {
      id: "image-artifact-type-unknown",
      quote:
        "Implementations storing or copying image manifests MUST NOT error on encountering an `artifactType` that is unknown to the implementation.",
      check: async ({ registry }) => {
        await isKept(
          registry,
          await makeImage(registry, repository, { artifactType: "application/vnd.unheard.of+x" }),
        );
      },
    },
    {
      id: "image-artifact-type-of-empty-config",
      quote:
        "This MUST be set when `config.mediaType` is set to the [empty value](#guidance-for-an-empty-descriptor).",
      choice:
        "Who builds the manifest has to; one without is kept too, and listed under the type of its config.",
      check: async ({ registry }) => {
        const config = await pushed(registry, "application/vnd.oci.empty.v1+json");
        await isKept(registry, imageManifest(config, [config]));
        await isKept(registry, imageManifest(config, [config], { artifactType: "a/b" }));
      },
    },
    {
      id: "image-config-unknown",
      quote:
        "Implementations MUST NOT attempt to parse the referenced content if this media type is unknown and instead consider the referenced content as arbitrary binary data (e.g.: as `application/octet-stream`). … Implementations storing or copying image manifests MUST NOT error on encountering a value that is unknown to the implementation.",
      choice: "No blob is ever parsed.",
      check: async ({ registry }) => {
        await isKept(registry, imageManifest(await pushed(registry, "application/vnd.unheard.of"), []));
        await isKept(registry, imageManifest(await pushed(registry, configType), []));
      },
    },
    {
      id: "image-layer-unknown",
      quote:
        "Implementations storing or copying image manifests MUST NOT error on encountering a `mediaType` that is unknown to the implementation.",
      check: async ({ registry }) => {
        const layers = [
          await pushed(registry, "text/plain"),
          await pushed(registry, "application/vnd.unheard.of+tar"),
        ];
        await isKept(registry, await makeImage(registry, repository, { layers }));
      },
    },
    {
      id: "image-layers-portable",
      quote: "For portability, `layers` SHOULD have at least one entry.",
      choice: "None is taken too, and so is the same one twice, and one of no bytes.",
      check: async ({ registry }) => {
        const nothing = new Uint8Array();
        await registry.pushBlob(repository, nothing);
        const empty = describe(nothing, layerType);
        for (const layers of [[], [empty], [empty, empty]]) {
          await isKept(registry, await makeImage(registry, repository, { layers }));
        }
      },
    },
    {
      id: "image-docker",
      quote:
        "This property SHOULD be used and [remain compatible](media-types.md#compatibility-matrix) with earlier versions of this specification and with other similar external formats.",
      choice: "Docker's images and lists are held to the same rules.",
      check: async ({ registry }) => {
        await isKept(
          registry,
          await makeImage(registry, repository, { mediaType: dockerManifestType }),
          dockerManifestType,
        );
        await isKept(registry, makeIndex({ mediaType: dockerManifestListType }), dockerManifestListType);
        const broken = makeIndex({ mediaType: dockerManifestListType, manifests: undefined });
        await isRefused(registry, broken, dockerManifestListType);
      },
    },
    {
      id: "image-or-index",
      quote: "This REQUIRED property references a configuration object for a container, by digest.",
      choice: "A document that could be read as image and as index is `MANIFEST_INVALID` (CVE-2021-41190).",
      check: async ({ registry }) => {
        await isRefused(registry, await makeImage(registry, repository, { config: undefined }));
        await isRefused(registry, await makeImage(registry, repository, { manifests: [] }));
        await isRefused(registry, makeIndex({ layers: [] }), imageIndexType);
      },
    },
  ],
};

export const imageIndexes: Section = {
  document: "image-spec",
  title: "OCI Image Index Specification",
  statements: [
    {
      id: "index-manifests",
      quote: "While this property MUST be present, the size of the array MAY be zero.",
      choice: "Zero, one, or many; of images and of indexes.",
      check: async ({ registry }) => {
        await isKept(registry, makeIndex({ manifests: [] }), imageIndexType);
        await isRefused(registry, makeIndex({ manifests: undefined }), imageIndexType);
        const image = await makeImage(registry, repository);
        await isKept(registry, image);
        const inner = makeIndex({ manifests: [describe(image, imageManifestType)] });
        await isKept(registry, inner, imageIndexType);
        await isKept(registry, makeIndex({ manifests: [describe(inner, imageIndexType)] }), imageIndexType);
      },
    },
    {
      id: "index-unknown-type",
      quote: "An encountered `mediaType` that is unknown to the implementation MUST NOT generate an error.",
      check: async ({ registry }) => {
        const type = "application/vnd.unheard.of+json";
        const other = makeIndex({ mediaType: type });
        await isKept(registry, other, type);
        await isKept(registry, makeIndex({ manifests: [describe(other, type)] }), imageIndexType);
      },
    },
    {
      id: "index-platform",
      quote: "This OPTIONAL property describes the minimum runtime requirements of the image.",
      choice: "It is the client's; any value is kept.",
      check: async ({ registry }) => {
        const image = await makeImage(registry, repository);
        await isKept(registry, image);
        for (const platform of [{ architecture: "amd64", os: "linux" }, { architecture: 1 }, null]) {
          const manifests = [describe(image, imageManifestType, { platform })];
          await isKept(registry, makeIndex({ manifests }), imageIndexType);
        }
      },
    },
  ],
};
