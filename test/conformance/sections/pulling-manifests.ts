import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import { digestOf, unknownDigest } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, library, makeImage, makeIndex } from "../world.ts";

export const pullingManifests: Section = {
  document: "distribution-spec",
  title: "Pulling manifests",
  statements: [
    {
      id: "manifest-by-tag-or-digest",
      quote: "`<tag-or-digest>` MUST be either (a) the digest of the manifest or (b) a tag.",
      check: async ({ registry, image }) => {
        for (const reference of ["latest", image.digest, encodeURIComponent(image.digest)]) {
          const pulled = await registry.must(200, "GET", `/v2/${library}/manifests/${reference}`);
          assert.deepEqual(pulled.bytes, image.manifest);
        }
      },
    },
    {
      id: "manifest-by-nothing-else",
      quote: "The `<tag-or-digest>` MUST NOT be in any other format.",
      choice:
        "400: `MANIFEST_INVALID` for what is no tag, `DIGEST_INVALID` for what is no digest or is one of an algorithm that the registry does not have.",
      check: async ({ registry }) => {
        for (const [reference, code] of [
          [".hidden", "MANIFEST_INVALID"],
          ["sha256:abc", "DIGEST_INVALID"],
          [`sha384:${"a".repeat(96)}`, "DIGEST_INVALID"],
        ] as const) {
          expectError(await registry.get(`/v2/${library}/manifests/${reference}`), 400, code);
        }
      },
    },
    {
      id: "repository-name",
      quote: "Throughout this document, `<name>` MUST match the following regular expression",
      choice: "What does not is `NAME_INVALID`, at every endpoint.",
      check: async ({ registry }) => {
        const names = ["a", "a.b", "a_b", "a__b", "a---b", "0/1/2", "a-b/c.d/e__f"];
        for (const name of names) await registry.openUpload(name);
        for (const name of ["A", "a..b", "a___b", "-a", "a-", "a//b", "a/"]) {
          expectError(await registry.get(`/v2/${name}/manifests/latest`), 400, "NAME_INVALID");
        }
      },
    },
    {
      id: "repository-name-length",
      quote:
        "For compatibility with those clients, registries should avoid values of `<name>` that would cause this limit to be exceeded.",
      choice: "Names have at most 255 characters: what fits depends on the host name that clients use.",
      check: async ({ registry }) => {
        await registry.openUpload("a".repeat(255));
        const tooLong = await registry.send("POST", `/v2/${"a".repeat(256)}/blobs/uploads/`);
        expectError(tooLong, 400, "NAME_INVALID");
      },
    },
    {
      id: "tag-grammar",
      quote:
        "Throughout this document, `<tag-or-digest>` as a tag MUST be at most 128 characters in length and MUST match the following regular expression",
      check: async ({ registry }) => {
        const manifest = makeIndex();
        for (const tag of ["a", "_", "0", "V1.0-rc_1", "x".repeat(128)]) {
          await registry.pushManifest("tag-grammar", tag, manifest, imageIndexType);
          await registry.must(200, "GET", `/v2/tag-grammar/manifests/${tag}`);
        }
        for (const tag of ["-a", ".a", "a+b", "a%20b", "x".repeat(129)]) {
          const refused = await registry.putManifest("tag-grammar", tag, manifest, imageIndexType);
          expectError(refused, 400, "MANIFEST_INVALID");
        }
      },
    },
    {
      id: "manifest-accept",
      quote:
        "The client SHOULD include an `Accept` header indicating which manifest content types it supports.",
      choice:
        "Whatever a client accepts or does not say, it gets what the tag or digest names, and never a conversion.",
      check: async ({ registry, image }) => {
        for (const Accept of [imageManifestType, imageIndexType, "*/*", "text/html", ""]) {
          const pulled = await registry.must(200, "GET", `/v2/${library}/manifests/latest`, {
            headers: { Accept },
          });
          assert.deepEqual(
            [pulled.header("Content-Type"), digestOf(pulled.bytes)],
            [imageManifestType, image.digest],
          );
        }
      },
    },
    {
      id: "manifest-content-type",
      quote:
        "In a successful response, the `Content-Type` header will indicate the type of the returned manifest. The registry SHOULD NOT include parameters on the `Content-Type` header.",
      choice: "The type alone.",
      check: async ({ registry }) => {
        for (const method of ["GET", "HEAD"]) {
          const answer = await registry.must(200, method, `/v2/${library}/manifests/latest`);
          assert.equal(answer.header("Content-Type"), imageManifestType);
        }
      },
    },
    {
      id: "manifest-content-type-as-pushed",
      quote:
        "The `Content-Type` header SHOULD match what the client pushed as the manifest's `Content-Type`.",
      choice: "It does, whether the manifest has a `mediaType` or not.",
      check: async ({ registry }) => {
        for (const type of [imageIndexType, "application/vnd.example.unknown+json"]) {
          const manifest = makeIndex({ mediaType: undefined });
          const digest = await registry.pushManifest("types", "latest", manifest, type);
          for (const reference of ["latest", digest]) {
            const pulled = await registry.must(200, "GET", `/v2/types/manifests/${reference}`);
            assert.equal(pulled.header("Content-Type"), type);
          }
        }
      },
    },
    {
      id: "manifest-200",
      quote:
        "A GET request to an existing manifest URL MUST provide the expected manifest, with a response code that MUST be `200 OK`. A successful response MUST contain the digest of the uploaded blob in the header `Docker-Content-Digest`.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const manifest = await makeImage(registry, "pull");
          const digest = digestOf(manifest, algorithm);
          await registry.pushManifest("pull", `${digest}?tag=${algorithm}`, manifest);
          for (const reference of [digest, algorithm]) {
            const pulled = await registry.must(200, "GET", `/v2/pull/manifests/${reference}`);
            assert.deepEqual(pulled.bytes, manifest);
            assert.equal(pulled.header("Docker-Content-Digest"), digest);
          }
        }
      },
    },
    {
      id: "manifest-digest-may-differ",
      quote:
        "The `Docker-Content-Digest` header, if present on the response, returns the digest of the uploaded blob which MAY differ from the provided digest. If the digest does differ, it MAY be the case that the hashing algorithms used do not match.",
      choice:
        "It never differs: a manifest is found under the digests it was pushed by, each with its own algorithm.",
      check: async ({ registry }) => {
        const manifest = await makeImage(registry, "both");
        for (const algorithm of algorithms) {
          const digest = digestOf(manifest, algorithm);
          expectError(await registry.get(`/v2/both/manifests/${digest}`), 404, "MANIFEST_UNKNOWN");
          await registry.pushManifest("both", digest, manifest);
          const pulled = await registry.must(200, "GET", `/v2/both/manifests/${digest}`);
          assert.equal(pulled.header("Docker-Content-Digest"), digest);
        }
      },
    },
    {
      id: "manifest-404",
      quote: "If the manifest is not found in the repository, the response code MUST be `404 Not Found`.",
      check: async ({ registry }) => {
        for (const reference of ["unknown", unknownDigest("sha256"), unknownDigest("sha512")]) {
          expectError(await registry.get(`/v2/${library}/manifests/${reference}`), 404, "MANIFEST_UNKNOWN");
        }
      },
    },
  ],
  ofClients: [
    "The client SHOULD ignore parameters on the `Content-Type` header.",
    "If the manifest has a `mediaType` field, clients SHOULD reject unless the `mediaType` field's value matches the type specified by the `Content-Type` header.",
    "Most clients MAY ignore the value, but if it is used, the client MUST verify the value matches the returned manifest.",
    "If the `<tag-or-digest>` part of a manifest request is a digest, clients SHOULD verify the returned manifest matches this digest.",
  ],
};
