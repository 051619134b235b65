import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageIndex,
  imageManifest,
  layerType,
  unknownDigest,
} from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, makeImage } from "../world.ts";

export const push: Section = {
  document: "distribution-spec",
  title: "Push",
  statements: [
    {
      id: "subject-may-be-missing",
      quote:
        "A registry MUST initially accept an otherwise valid manifest with a `subject` field that references a manifest that does not exist in the repository, allowing clients to push a manifest and referrers to that manifest in either order.",
      choice: "Also where the digest of the subject is of an algorithm that the registry does not have.",
      check: async ({ registry }) => {
        const digests = [unknownDigest("sha256"), unknownDigest("sha512"), `blake3:${"a".repeat(64)}`];
        for (const digest of digests) {
          const subject = { mediaType: imageManifestType, digest, size: 1 };
          await registry.pushManifest(
            "subjects",
            "early",
            await makeImage(registry, "subjects", { subject }),
          );
        }
      },
    },
    {
      id: "reject-missing-descriptors",
      quote:
        "A registry MAY reject a manifest uploaded to the manifest endpoint with descriptors in other fields that reference a manifest or blob that does not exist in the registry. When a manifest is rejected for this reason, it MUST result in one or more `MANIFEST_BLOB_UNKNOWN` errors",
      choice:
        "Rejected, with all that is missing in the detail of one error, unless `SPARSE_MANIFESTS=accept`. What counts is the repository. Layers elsewhere are excepted: see `non-distributable`.",
      check: async ({ registry }) => {
        const config = content();
        const known = describe(config, configType);
        await registry.pushBlob("missing", config);
        const image = await registry.pushImage("not-missing", "latest");
        for (const [manifest, type] of [
          [imageManifest(known, [describe(content(), layerType)]), imageManifestType],
          [imageManifest({ ...known, digest: unknownDigest("sha512") }, []), imageManifestType],
          [imageManifest({ ...known, digest: image.config }, []), imageManifestType],
          [imageIndex([describe(image.manifest, imageManifestType)]), imageIndexType],
        ] as const) {
          const refused = await registry.putManifest("missing", "latest", manifest, type);
          expectError(refused, 404, "MANIFEST_BLOB_UNKNOWN");
        }
      },
    },
    {
      id: "sparse",
      quote:
        "A registry MAY reject a manifest uploaded to the manifest endpoint with descriptors in other fields that reference a manifest or blob that does not exist",
      choice:
        "Under `SPARSE_MANIFESTS=accept`, images and indexes are taken with parts missing, which may come later.",
      check: async ({ sparse }) => {
        const layer = content();
        const image = imageManifest(describe(content(), configType), [describe(layer, layerType)]);
        const index = imageIndex([
          describe(image, imageManifestType),
          describe(content(), imageManifestType),
        ]);
        await sparse.pushManifest("mirror", "index", index, imageIndexType);
        expectError(await sparse.get(`/v2/mirror/manifests/${digestOf(image)}`), 404, "MANIFEST_UNKNOWN");
        await sparse.pushManifest("mirror", "image", image);
        expectError(await sparse.get(`/v2/mirror/blobs/${digestOf(layer)}`), 404, "BLOB_UNKNOWN");
        await sparse.pushBlob("mirror", layer);
        await sparse.must(200, "GET", `/v2/mirror/blobs/${digestOf(layer)}`);
        await sparse.must(200, "GET", "/v2/mirror/manifests/index");
      },
    },
    {
      id: "push-bad-digest",
      quote:
        "In each implementation, if the client provided digest is invalid or uses an unsupported algorithm, the registry SHOULD respond with a response code `400 Bad Request`.",
      choice: "`DIGEST_INVALID`, in every way of pushing. Algorithms are sha256 and sha512.",
      check: async ({ registry }) => {
        const body = content();
        const bad = ["sha256:abc", `md5:${"a".repeat(32)}`, "latest", ...algorithms.map(unknownDigest)];
        for (const digest of bad) {
          const posted = await registry.send("POST", `/v2/bad/blobs/uploads/?digest=${digest}`, { body });
          expectError(posted, 400, "DIGEST_INVALID");
          const put = await registry.send("PUT", `${await registry.openUpload("bad")}?digest=${digest}`, {
            body,
          });
          expectError(put, 400, "DIGEST_INVALID");
          const chunked = await registry.patch(await registry.openUpload("bad"), body);
          expectError(await registry.send("PUT", `${chunked}?digest=${digest}`), 400, "DIGEST_INVALID");
          await registry.must(404, "HEAD", `/v2/bad/blobs/${digestOf(body)}`);
        }
        const announced = await registry.send("POST", "/v2/bad/blobs/uploads/?digest-algorithm=md5");
        expectError(announced, 400, "DIGEST_INVALID");
      },
    },
  ],
};
