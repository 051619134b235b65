import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { unknownDigest } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, makeImage, makeIndex, subjectOf } from "../world.ts";

export const pushingManifestsWithSubject: Section = {
  document: "distribution-spec",
  title: "Pushing Manifests with Subject",
  statements: [
    {
      id: "oci-subject",
      quote:
        "When processing a request for an image manifest with the `subject` field, a registry implementation that supports the [referrers API](#listing-referrers) MUST respond with the response header `OCI-Subject: <subject digest>` to indicate to the client that the registry processed the request's `subject`.",
      choice: "So for indexes, and for manifests of other types. Without a subject there is no such header.",
      check: async ({ registry }) => {
        const known = await registry.pushImage("with-subject", "latest");
        const missing = algorithms.map((each) => ({
          mediaType: "a/b",
          digest: unknownDigest(each),
          size: 1,
        }));
        const other = "application/vnd.example.unknown+json";
        for (const subject of [subjectOf(known), ...missing]) {
          for (const [manifest, type] of [
            [await makeImage(registry, "with-subject", { subject }), imageManifestType],
            [makeIndex({ subject }), imageIndexType],
            [makeIndex({ mediaType: other, subject }), other],
          ] as const) {
            const put = await registry.putManifest("with-subject", "referrer", manifest, type);
            assert.equal(put.status, 201, put.text);
            assert.equal(put.header("OCI-Subject"), subject.digest);
          }
        }
        const without = await registry.putManifest("with-subject", "none", makeIndex(), imageIndexType);
        assert.equal(without.headers.get("OCI-Subject"), null);
      },
    },
  ],
  ofClients: [
    "When pushing a manifest with the `subject` field and the `OCI-Subject` header was not set, the client MUST:",
    "If that pull returns a manifest other than the expected image index, the client SHOULD report a failure and skip the remaining steps.",
    "If the tag returns a 404, the client MUST begin with an empty image index.",
    "Verify the descriptor for the manifest is not already in the referrers list (duplicate entries SHOULD NOT be created).",
    "The value of the `artifactType` MUST be set to the `artifactType` value in the pushed manifest, if present.",
    "If the `artifactType` is empty or missing in a pushed image manifest, the value of `artifactType` MUST be set to the config descriptor `mediaType` value.",
    "All annotations from the pushed manifest MUST be copied to this descriptor.",
    "The client MAY use conditional HTTP requests to prevent overwriting a referrers list that has changed since it was first pulled.",
  ],
};
