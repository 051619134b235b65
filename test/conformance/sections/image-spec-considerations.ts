import { imageIndexType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import { encode, layerType, unknownDigest } from "../../support/content.ts";
import { absent, isKept, isRefused, pushed, repository } from "../kept.ts";
import type { Section } from "../statement.ts";
import { makeImage, makeIndex } from "../world.ts";

export const considerations: Section = {
  document: "image-spec",
  title: "Extensibility and Canonicalization",
  statements: [
    {
      id: "content-unaltered",
      quote:
        "Implementations storing or copying content MUST NOT modify or alter the content in a way that would change the digest of the content.",
      check: async ({ registry }) => {
        const text = new TextDecoder().decode(await makeImage(registry, repository));
        await isKept(registry, encode(text.replaceAll(",", " ,\n\t")));
      },
    },
    {
      id: "unknown-properties",
      quote:
        "Implementations processing content SHOULD NOT generate an error if they encounter an unknown property in a known media type.",
      choice: "Kept, in manifests and in descriptors, at any depth.",
      check: async ({ registry }) => {
        const custom = { "org.example": { deep: [1, { a: null }] } };
        const layers = [await pushed(registry, layerType, custom)];
        await isKept(registry, await makeImage(registry, repository, { layers, ...custom }));
        await isKept(registry, makeIndex(custom), imageIndexType);
      },
    },
    {
      id: "json-utf8",
      quote: "The encoding MUST be [UTF-8][rfc3629]",
      choice: "Other bytes are `MANIFEST_INVALID`.",
      check: async ({ registry }) => {
        const latin1 = Buffer.from('{"schemaVersion":2,"manifests":[],"a":"é"}', "latin1");
        await isRefused(registry, new Uint8Array(latin1), imageIndexType);
      },
    },
    {
      id: "json-duplicate-names",
      quote: "Objects MUST NOT contain duplicate names",
      choice:
        "Where it is a field that clients know, such a document is `MANIFEST_INVALID`, as some read the first one and some the last. So is a field that is known but for its case (`Layers`), which Go's JSON takes for the field. Other names are data.",
      check: async ({ registry }) => {
        for (const fields of ['"schemaVersion":2,"schemaVersion":2', '"schemaVersion":2,"Manifests":[]']) {
          await isRefused(registry, encode(`{${fields},"manifests":[]}`), imageIndexType);
        }
        await isKept(registry, encode('{"schemaVersion":2,"manifests":[],"a":1,"a":2}'), imageIndexType);
      },
    },
    {
      id: "annotation-values",
      quote: "Annotations MUST be a key-value map where both the key and value MUST be strings.",
      choice: "Others are `MANIFEST_INVALID` in images and indexes.",
      check: async ({ registry }) => {
        for (const annotations of [{ a: 1 }, { a: null }, ["a"], "a"]) {
          await isRefused(registry, makeIndex({ annotations }), imageIndexType);
        }
      },
    },
    {
      id: "annotation-empty",
      quote: "While the value MUST be present, it MAY be an empty string.",
      choice: "Kept. So is an empty map.",
      check: async ({ registry }) => {
        for (const annotations of [{ "org.example.empty": "" }, {}]) {
          await isKept(registry, makeIndex({ annotations }), imageIndexType);
        }
      },
    },
    {
      id: "annotation-unknown",
      quote: "Consumers MUST NOT generate an error if they encounter an unknown annotation key.",
      check: async ({ registry }) => {
        await isKept(registry, makeIndex({ annotations: { "never.heard/of it ☃": "x" } }), imageIndexType);
      },
    },
  ],
};

export const nonDistributableLayers: Section = {
  document: "image-spec",
  title: "Non-Distributable Layers",
  statements: [
    {
      id: "non-distributable",
      quote:
        "Implementations SHOULD NOT upload layers tagged with this media type; however, such a media type SHOULD NOT affect whether an implementation downloads the layer. … the presence of the `urls` field SHOULD NOT be used to determine whether or not a layer is non-distributable.",
      choice:
        "A layer of such a type (Docker's included) need not be there, with `urls` or without; nor need one of another type that has `urls`. If it is there, it is served.",
      check: async ({ registry }) => {
        const types = ["tar", "tar+gzip", "tar+zstd"].map(
          (each) => `application/vnd.oci.image.layer.nondistributable.v1.${each}`,
        );
        const urls = ["https://a.example/layer"];
        for (const type of [...types, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"]) {
          await isKept(
            registry,
            await makeImage(registry, repository, { layers: [absent(type), absent(type, { urls })] }),
          );
        }
        await isKept(
          registry,
          await makeImage(registry, repository, { layers: [absent(layerType, { urls })] }),
        );
        const layer = await pushed(registry, types[0] ?? "");
        await isKept(registry, await makeImage(registry, repository, { layers: [layer] }));
        await registry.must(200, "GET", `/v2/${repository}/blobs/${layer.digest}`);
        const refused = await makeImage(registry, repository, {
          layers: [{ ...layer, mediaType: layerType, digest: unknownDigest() }],
        });
        expectError(await registry.putManifest(repository, "x", refused), 404, "MANIFEST_BLOB_UNKNOWN");
      },
    },
  ],
};
