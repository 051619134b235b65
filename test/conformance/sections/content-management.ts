import assert from "node:assert/strict";
import { expectError } from "../../support/answer.ts";
import { content, digestOf, unknownDigest } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, makeImage, pushReferrer, referrersOf, subjectOf, tagsOf } from "../world.ts";

export const contentManagement: Section = {
  document: "distribution-spec",
  title: "Content Management",
  statements: [
    {
      id: "deletion",
      quote:
        "Registries MAY implement deletion or they MAY disable it. Similarly, a registry MAY implement tag deletion, while others MAY allow deletion only by manifest.",
      choice: "Tags, manifests and blobs can be deleted, by whoever has the right to.",
      check: async ({ registry }) => {
        const image = await registry.pushImage("delete/all", "latest");
        for (const path of ["manifests/latest", `manifests/${image.digest}`, `blobs/${image.config}`]) {
          await registry.must(202, "DELETE", `/v2/delete/all/${path}`);
        }
      },
    },
  ],
};

export const deletingTags: Section = {
  document: "distribution-spec",
  title: "Deleting tags",
  statements: [
    {
      id: "delete-tag",
      quote:
        "`<tag>` is the name of the tag to be deleted. Upon success, the registry MUST respond with a `202 Accepted` code.",
      choice: "That tag alone goes: the manifest and its other tags stay.",
      check: async ({ registry }) => {
        const { digest, manifest } = await registry.pushImage("delete/tag", "one");
        await registry.pushManifest("delete/tag", "two", manifest);
        await registry.must(202, "DELETE", "/v2/delete/tag/manifests/one");
        assert.deepEqual(await tagsOf(registry, "delete/tag"), ["two"]);
        for (const reference of ["two", digest]) {
          await registry.must(200, "GET", `/v2/delete/tag/manifests/${reference}`);
        }
      },
    },
    {
      id: "delete-tag-disabled",
      quote:
        "If tag deletion is disabled, the registry MUST respond with either a `400 Bad Request` or a `405 Method Not Allowed`.",
      choice: "It is not disabled. A tag that is not there is 404.",
      check: async ({ registry }) => {
        await registry.pushImage("delete/tag", "one");
        expectError(await registry.send("DELETE", "/v2/delete/tag/manifests/none"), 404, "MANIFEST_UNKNOWN");
      },
    },
    {
      id: "deleted-tag-404",
      quote: "Once deleted, a `GET` to `/v2/<name>/manifests/<tag>` will return a 404.",
      choice: "At once, also where it was just pulled.",
      check: async ({ registry }) => {
        await registry.pushImage("delete/tag", "one");
        await registry.must(200, "GET", "/v2/delete/tag/manifests/one");
        await registry.must(202, "DELETE", "/v2/delete/tag/manifests/one");
        expectError(await registry.get("/v2/delete/tag/manifests/one"), 404, "MANIFEST_UNKNOWN");
        await registry.must(404, "HEAD", "/v2/delete/tag/manifests/one");
      },
    },
  ],
};

export const deletingManifests: Section = {
  document: "distribution-spec",
  title: "Deleting Manifests",
  statements: [
    {
      id: "delete-manifest",
      quote:
        "`<digest>` is the digest of the manifest to be deleted. Upon success, the registry MUST respond with a `202 Accepted` code.",
      choice: "One that an index lists may be deleted too.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const manifest = await makeImage(registry, "delete/manifest");
          const digest = digestOf(manifest, algorithm);
          await registry.pushManifest("delete/manifest", digest, manifest);
          await registry.must(202, "DELETE", `/v2/delete/manifest/manifests/${digest}`);
        }
      },
    },
    {
      id: "delete-manifest-404",
      quote: "If the repository does not exist, the response MUST return `404 Not Found`.",
      check: async ({ registry }) => {
        const digest = unknownDigest();
        expectError(await registry.send("DELETE", `/v2/nowhere/manifests/${digest}`), 404, "NAME_UNKNOWN");
        await registry.pushBlob("delete/manifest", content());
        const refused = await registry.send("DELETE", `/v2/delete/manifest/manifests/${digest}`);
        expectError(refused, 404, "MANIFEST_UNKNOWN");
      },
    },
    {
      id: "delete-manifest-disabled",
      quote:
        "If manifest deletion is disabled, the registry MUST respond with either a `400 Bad Request` or a `405 Method Not Allowed`.",
      choice: "It is not disabled: a manifest that was deleted may be pushed and deleted again.",
      check: async ({ registry }) => {
        const manifest = await makeImage(registry, "delete/again");
        for (let round = 0; round < 2; round++) {
          const digest = await registry.pushManifest("delete/again", "latest", manifest);
          await registry.must(202, "DELETE", `/v2/delete/again/manifests/${digest}`);
        }
      },
    },
    {
      id: "deleted-manifest-404",
      quote:
        "Once deleted, a `GET` to `/v2/<name>/manifests/<digest>` and any tag pointing to that digest will return a 404.",
      choice: "At once. Its tags are gone from the list, and it from the referrers of its subject.",
      check: async ({ registry }) => {
        const repository = "delete/tagged";
        const { digest, manifest } = await registry.pushImage(repository, "one");
        await registry.pushManifest(repository, "two", manifest);
        const other = await registry.pushImage(repository, "other");
        for (const reference of ["one", digest])
          await registry.must(200, "GET", `/v2/${repository}/manifests/${reference}`);
        await registry.must(202, "DELETE", `/v2/${repository}/manifests/${digest}`);
        for (const reference of ["one", "two", digest]) {
          expectError(
            await registry.get(`/v2/${repository}/manifests/${reference}`),
            404,
            "MANIFEST_UNKNOWN",
          );
        }
        assert.deepEqual(await tagsOf(registry, repository), ["other"]);
        const referrer = await pushReferrer(registry, repository, subjectOf(other));
        await registry.must(202, "DELETE", `/v2/${repository}/manifests/${referrer}`);
        assert.deepEqual(await referrersOf(registry, repository, other.digest), []);
        await registry.pullImage(repository, "other", other);
      },
    },
  ],
  ofClients: [
    "When deleting an image manifest that contains a `subject` field, and the [referrers API](#listing-referrers) returns a 404, clients SHOULD:",
    "The client MAY use conditional HTTP requests to prevent overwriting an referrers list that has changed since it was first pulled.",
    "When deleting a manifest that has an associated [referrers tag schema](#referrers-tag-schema), clients MAY also delete the referrers tag when it returns a valid image index.",
  ],
};

export const deletingBlobs: Section = {
  document: "distribution-spec",
  title: "Deleting Blobs",
  statements: [
    {
      id: "delete-blob",
      quote:
        "`<digest>` is the digest of the blob to be deleted. Upon success, the registry MUST respond with code `202 Accepted`.",
      choice: "It is gone at once, from this repository alone.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const bytes = content();
          const digest = digestOf(bytes, algorithm);
          for (const name of ["delete/blob", "keep/blob"]) await registry.pushBlob(name, bytes, digest);
          await registry.must(200, "GET", `/v2/delete/blob/blobs/${digest}`);
          await registry.must(202, "DELETE", `/v2/delete/blob/blobs/${digest}`);
          expectError(await registry.get(`/v2/delete/blob/blobs/${digest}`), 404, "BLOB_UNKNOWN");
          await registry.must(404, "HEAD", `/v2/delete/blob/blobs/${digest}`);
          await registry.must(200, "GET", `/v2/keep/blob/blobs/${digest}`);
        }
      },
    },
    {
      id: "delete-blob-404",
      quote: "If the blob is not found, a `404 Not Found` code MUST be returned.",
      check: async ({ registry }) => {
        await registry.pushBlob("delete/blob", content());
        const path = `blobs/${unknownDigest()}`;
        expectError(await registry.send("DELETE", `/v2/delete/blob/${path}`), 404, "BLOB_UNKNOWN");
        expectError(await registry.send("DELETE", `/v2/nowhere/${path}`), 404, "NAME_UNKNOWN");
      },
    },
    {
      id: "delete-blob-disabled",
      quote:
        "If blob deletion is disabled, the registry MUST respond with either a `400 Bad Request` or a `405 Method Not Allowed`.",
      choice: "It is, with 405, for a blob that a manifest of the repository references.",
      check: async ({ registry }) => {
        const image = await registry.pushImage("delete/referenced", "latest");
        const refused = await registry.send("DELETE", `/v2/delete/referenced/blobs/${image.config}`);
        expectError(refused, 405, "UNSUPPORTED");
        await registry.pullImage("delete/referenced", "latest", image);
      },
    },
  ],
};
