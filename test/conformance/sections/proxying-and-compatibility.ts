import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { describe, digestOf } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { library, makeImage, makeIndex, referrersOf } from "../world.ts";

export const proxying: Section = {
  document: "distribution-spec",
  title: "Registry Proxying",
  statements: [
    {
      id: "proxy",
      quote:
        "A registry MAY operate as a proxy to another registry to delegate functionality or implement additional functionality.",
      choice:
        "Only where `UPSTREAMS` is set ([caching](caching.md)). Otherwise what is not here is 404, whatever source host is named.",
      check: async ({ registry }) => {
        await registry.must(404, "GET", "/v2/library/alpine/manifests/latest?ns=docker.io");
      },
    },
    {
      id: "ns-parameter",
      quote:
        "A proxy registry MAY use the `ns` query parameter to resolve an upstream registry host. A registry MAY choose to ignore the `ns` query parameter.",
      choice:
        "Ignored, but where `UPSTREAMS` is set: there it names an upstream, or this registry, and anything else is 404.",
      check: async ({ registry, image }) => {
        const pulled = await registry.must(200, "GET", `/v2/${library}/manifests/latest?ns=docker.io`);
        assert.deepEqual(pulled.bytes, image.manifest);
        await registry.must(200, "GET", `/v2/${library}/blobs/${image.config}?ns=docker.io`);
      },
    },
    {
      id: "oci-namespace",
      quote:
        "A registry that uses the `ns` query parameter to scope the request SHOULD return the `ns` query parameter value in the `OCI-Namespace` header.",
      choice:
        "The header is in all answers of an upstream that was named so. Where `ns` is ignored, there is none.",
      check: async ({ registry }) => {
        const pulled = await registry.must(200, "GET", `/v2/${library}/manifests/latest?ns=docker.io`);
        assert.equal(pulled.headers.get("OCI-Namespace"), null);
      },
    },
  ],
  ofClients: [
    "A `ns` query parameter on pull operations is OPTIONAL, but when used specifies the host in a repository name used by a client.",
    "The host in the repository name SHOULD be the first component of the full repository name used by a client.",
    "This host component in a repository name SHOULD be the registry host a client considers the primary source for a repository, however, a client MAY be configured to use a different host.",
    "A client SHOULD be aware of whether a registry host is a proxy, such as when the `ns` query parameter differs from the `Host` header.",
    "A client SHOULD avoid sending `ns` query parameters to non-proxy registries.",
    "Authorization credentials for an upstream registry SHOULD NOT be sent to a proxy registry unless explicitly configured or instructed to do so by the credential owner.",
  ],
};

export const referrersTagSchema: Section = {
  document: "distribution-spec",
  title: "Referrers Tag Schema",
  statements: [
    {
      id: "referrers-tag",
      quote:
        "This tag should return an image index matching the expected response of the [referrers API](#listing-referrers).",
      choice: "It is a tag like others: clients that keep such a list find it as they pushed it.",
      check: async ({ registry }) => {
        for (const tag of [
          `sha256-${"a".repeat(64)}`,
          `sha512-${"a".repeat(64)}`,
          `${"t-".repeat(16)}-${"E".repeat(64)}`,
        ]) {
          const index = makeIndex();
          await registry.pushManifest("tag-schema", tag, index, imageIndexType);
          assert.deepEqual((await registry.must(200, "GET", `/v2/tag-schema/manifests/${tag}`)).bytes, index);
        }
      },
    },
  ],
  ofClients: [
    "Client implementations MUST support registries that implement partial or older versions of the OCI Distribution Spec. This section describes client fallback procedures that MUST be implemented when a new/optional API is not available from a registry.",
    "A client that pushes an image manifest with a defined `subject` field MUST verify the [referrers API](#listing-referrers) is available or fallback to updating the image index pushed to a tag described by the [referrers tag schema](#referrers-tag-schema).",
    "A client querying the [referrers API](#listing-referrers) and receiving a `404 Not Found` MUST fallback to using an image index pushed to a tag described by the [referrers tag schema](#referrers-tag-schema).",
    "The Referrers Tag associated with a [Content Digest](https://github.com/opencontainers/image-spec/blob/v1.0.1/descriptor.md#digests) <sup>[apdx-3](#appendix)</sup> MUST match the Truncated Algorithm, a `-` character, and the Truncated Encoded section",
    "The Truncated Algorithm associated with a Content Digest MUST match the digest's `algorithm` section truncated to 32 characters.",
    "The Truncated Encoded section associated with a Content Digest MUST match the digest's `encoded` section truncated to 64 characters.",
    "Clients MAY use a conditional HTTP push for registries that support ETag conditions to avoid conflicts with other clients.",
  ],
};

export const enablingReferrers: Section = {
  document: "distribution-spec",
  title: "Enabling the Referrers API",
  statements: [
    {
      id: "referrers-preexisting",
      quote:
        "Registries MUST include preexisting image manifests that are listed in an image index tagged with the [referrers tag schema](#referrers-tag-schema) and have a valid `subject` field in the referrers API response. 1. Registries MAY include all preexisting image manifests with a `subject` field in the referrers API response.",
      choice:
        "Every manifest with a subject is listed, whether such an index names it or not. Nothing can be older than the API, as it was there from the first release.",
      check: async ({ registry }) => {
        const subject = describe(await makeImage(registry, "preexisting"), imageManifestType);
        const manifest = await makeImage(registry, "preexisting", { subject });
        await registry.pushManifest("preexisting", digestOf(manifest), manifest);
        const index = makeIndex({ manifests: [describe(manifest, imageManifestType)] });
        const tag = subject.digest.replace(":", "-");
        await registry.pushManifest("preexisting", tag, index, imageIndexType);
        const entries = await referrersOf(registry, "preexisting", subject.digest);
        assert.deepEqual(
          entries.map(({ digest }) => digest),
          [digestOf(manifest)],
        );
      },
    },
    {
      id: "referrers-newly-pushed",
      quote:
        "After the referrers API is enabled, Registries MUST include all newly pushed image manifests with a valid `subject` field in the referrers API response.",
      choice: "With the 201, and once each, however often it is pushed.",
      check: async ({ registry }) => {
        const subject = describe(await makeImage(registry, "newly"), imageManifestType);
        const manifest = await makeImage(registry, "newly", { subject });
        for (const reference of ["one", "two", digestOf(manifest)]) {
          await registry.pushManifest("newly", reference, manifest);
          assert.equal((await referrersOf(registry, "newly", subject.digest)).length, 1);
        }
      },
    },
  ],
};
