import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageManifest,
  layerType,
} from "../../support/content.ts";
import { absent, isKept, isRefused, pushed, repository } from "../kept.ts";
import type { Section } from "../statement.ts";
import { algorithms, makeImage, makeIndex, referrersOf } from "../world.ts";

export const descriptors: Section = {
  document: "image-spec",
  title: "OCI Content Descriptors",
  statements: [
    {
      id: "descriptor-media-type",
      quote: "This REQUIRED property contains the media type of the referenced content.",
      choice: "A descriptor without one, or without `digest` or `size`, is `MANIFEST_INVALID`.",
      check: async ({ registry }) => {
        for (const field of ["mediaType", "digest", "size"]) {
          await isRefused(
            registry,
            await makeImage(registry, repository, { layers: [absent(layerType, { [field]: undefined })] }),
          );
        }
      },
    },
    {
      id: "descriptor-size",
      quote: "The size MUST NOT be negative.",
      choice:
        "Whole numbers of 63 bits are taken, without fraction or exponent. They are not compared with the blob: clients do.",
      check: async ({ registry }) => {
        for (const size of [-1, 0.5, "1"]) {
          await isRefused(
            registry,
            await makeImage(registry, repository, { layers: [absent(layerType, { size })] }),
          );
        }
        const layer = await pushed(registry, layerType, { size: 2 ** 60 });
        await isKept(registry, await makeImage(registry, repository, { layers: [layer] }));
      },
    },
    {
      id: "descriptor-data",
      quote:
        "Implementations MUST NOT populate the `data` field in situations where doing so would modify existing content identifiers. For example, a registry MUST NOT arbitrarily populate `data` fields within uploaded manifests",
      choice:
        "A manifest is served as it came. `data` does not stand for the blob, which has to be there too.",
      check: async ({ registry }) => {
        const bytes = encode("{}");
        const data = Buffer.from(bytes).toString("base64");
        const config = describe(bytes, "application/vnd.oci.empty.v1+json", { data });
        const manifest = imageManifest(config, [config], { artifactType: "a/b" });
        const refused = await registry.putManifest("without-data", "latest", manifest);
        expectError(refused, 404, "MANIFEST_BLOB_UNKNOWN");
        await registry.pushBlob(repository, bytes);
        await isKept(registry, manifest);
        await isKept(registry, await makeImage(registry, repository));
      },
    },
    {
      id: "digest-grammar",
      quote: "A digest string MUST match the following [grammar](considerations.md#ebnf):",
      check: async ({ registry }) => {
        for (const digest of ["", "sha256", ":abc", "SHA256:abc", "sha256:", "a b:c", "a:b:c"]) {
          await isRefused(
            registry,
            await makeImage(registry, repository, { layers: [absent(layerType, { digest })] }),
          );
        }
      },
    },
    {
      id: "digest-unrecognized",
      quote:
        "Implementations SHOULD allow digests with unrecognized algorithms to pass validation if they comply with the above grammar.",
      choice:
        "In subjects, and in descriptors of what need not be here. A blob under such a digest cannot be here: `MANIFEST_BLOB_UNKNOWN`.",
      check: async ({ registry, sparse }) => {
        const digest = `blake3:${"a".repeat(64)}`;
        const elsewhere = absent(layerType, { digest, urls: ["https://a.example"] });
        await isKept(registry, await makeImage(registry, repository, { layers: [elsewhere] }));
        await isKept(
          registry,
          makeIndex({ subject: { ...elsewhere, mediaType: imageManifestType } }),
          imageIndexType,
        );
        const needed = await makeImage(registry, repository, { layers: [absent(layerType, { digest })] });
        expectError(await registry.putManifest(repository, "x", needed), 404, "MANIFEST_BLOB_UNKNOWN");
        await sparse.pushManifest(repository, "x", needed);
      },
    },
    {
      id: "digest-sha256",
      quote:
        "Implementations MUST implement SHA-256 digest verification for use in descriptors. … Note that `[A-F]` MUST NOT be used here.",
      check: async ({ registry }) => {
        const bytes = content();
        await registry.pushBlob(repository, bytes);
        const upper = digestOf(bytes).toUpperCase().replace("SHA", "sha");
        const refused = await registry.get(`/v2/${repository}/blobs/${upper}`);
        expectError(refused, 400, "DIGEST_INVALID");
        await isRefused(
          registry,
          await makeImage(registry, repository, { layers: [absent(layerType, { digest: upper })] }),
        );
      },
    },
    {
      id: "digest-sha512",
      quote: "Implementations MAY implement SHA-512 digest verification for use in descriptors.",
      choice:
        "Implemented, for blobs, manifests, indexes, subjects and tags, and mixed with sha256 as one likes.",
      check: async ({ registry }) => {
        for (const outer of algorithms) {
          for (const inner of algorithms) {
            const parts = [content(), content()];
            const [config, layer] = parts.map((bytes, index) =>
              describe(bytes, index === 0 ? configType : layerType, { digest: digestOf(bytes, inner) }),
            );
            assert(config !== undefined && layer !== undefined);
            for (const bytes of parts) await registry.streamBlob(repository, bytes, digestOf(bytes, inner));
            const image = imageManifest(config, [layer]);
            const child = describe(image, imageManifestType, { digest: digestOf(image, inner) });
            await registry.pushManifest(repository, child.digest, image);
            const index = makeIndex({ manifests: [child], subject: child });
            const reference = digestOf(index, outer);
            await registry.pushManifest(repository, `${reference}?tag=mixed`, index, imageIndexType);
            const pulled = await registry.must(200, "GET", `/v2/${repository}/manifests/mixed`);
            assert.equal(pulled.header("Docker-Content-Digest"), reference);
            const [referrer] = await referrersOf(registry, repository, child.digest);
            assert.equal(referrer?.digest, reference);
          }
        }
      },
    },
    {
      id: "digest-blake3",
      quote: "Implementations MAY implement BLAKE3 digest verification for use in descriptors.",
      choice: "Not implemented: `DIGEST_INVALID`.",
      check: async ({ registry }) => {
        const path = `/v2/${repository}/blobs/uploads/?digest=blake3:${"a".repeat(64)}`;
        expectError(await registry.send("POST", path, { body: content() }), 400, "DIGEST_INVALID");
      },
    },
  ],
};
