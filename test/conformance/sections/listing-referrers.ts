import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import { configType, describe, digestOf, unknownDigest } from "../../support/content.ts";
import { nextPage, readPages } from "../../support/pages.ts";
import type { Section } from "../statement.ts";
import {
  algorithms,
  makeImage,
  makeIndex,
  pushReferrer,
  type Referrer,
  referrersOf,
  subjectOf,
} from "../world.ts";

const repository = "referrers";
const missing = (digest = unknownDigest()) => ({ mediaType: imageManifestType, digest, size: 1 });

export const listingReferrers: Section = {
  document: "distribution-spec",
  title: "Listing Referrers",
  statements: [
    {
      id: "referrers-200",
      quote:
        "Assuming a repository is found, this request MUST return a `200 OK` response code. If the registry supports the referrers API, the registry MUST NOT return a `404 Not Found` to a referrers API requests.",
      choice:
        "200 for every digest, also in a repository that does not exist: the answer is the same list of nothing.",
      check: async ({ registry }) => {
        const { digest } = await registry.pushImage(repository, "latest");
        for (const each of [digest, unknownDigest("sha256"), unknownDigest("sha512")]) {
          assert.deepEqual(await referrersOf(registry, repository, each), []);
        }
        assert.deepEqual(await referrersOf(registry, "nowhere", digest), []);
      },
    },
    {
      id: "referrers-400",
      quote:
        "If the request is invalid, such as a `<digest>` with an invalid syntax, a `400 Bad Request` MUST be returned.",
      choice: "`DIGEST_INVALID`. A digest of an unknown algorithm is valid: a subject may have one.",
      check: async ({ registry }) => {
        for (const digest of ["latest", "sha256:abc", `sha256:${"A".repeat(64)}`, "sha256"]) {
          expectError(await registry.get(`/v2/${repository}/referrers/${digest}`), 400, "DIGEST_INVALID");
        }
        const subject = missing(`blake3:${"a".repeat(64)}`);
        const digest = await pushReferrer(registry, repository, subject);
        const [entry] = await referrersOf(registry, repository, subject.digest);
        assert.equal(entry?.digest, digest);
      },
    },
    {
      id: "referrers-body",
      quote:
        "Upon success, the response MUST be a JSON body with an image index containing a list of descriptors. The `Content-Type` header MUST be set to `application/vnd.oci.image.index.v1+json`.",
      check: async ({ registry }) => {
        const list = await registry.must(200, "GET", `/v2/${repository}/referrers/${unknownDigest()}`);
        assert.equal(list.header("Content-Type"), imageIndexType);
        assert.deepEqual(list.json(), { schemaVersion: 2, mediaType: imageIndexType, manifests: [] });
      },
    },
    {
      id: "referrers-of-subject",
      quote:
        "Each descriptor is of an image manifest or index in the same `<name>` namespace with a `subject` field that specifies the value of `<digest>`.",
      choice: "Manifests of other types with a subject are listed too.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const subject = missing(unknownDigest(algorithm));
          const other = "application/vnd.example.unknown+json";
          const manifests: [manifest: Uint8Array, type: string][] = [
            [await makeImage(registry, repository, { subject }), imageManifestType],
            [makeIndex({ subject }), imageIndexType],
            [makeIndex({ mediaType: other, subject }), other],
          ];
          for (const [manifest, type] of manifests) {
            await registry.pushManifest(repository, digestOf(manifest, algorithm), manifest, type);
          }
          await pushReferrer(registry, "referrers-elsewhere", subject);
          await pushReferrer(registry, repository, missing());
          const entries = await referrersOf(registry, repository, subject.digest);
          const expected = manifests.map(([manifest, type]) => {
            const { mediaType, size } = describe(manifest, type);
            return { mediaType, size, digest: digestOf(manifest, algorithm) };
          });
          const listed = entries.map(({ mediaType, size, digest }) => ({ mediaType, size, digest }));
          const byDigest = (a: { digest: string }, b: { digest: string }) => (a.digest < b.digest ? -1 : 1);
          assert.deepEqual(listed, expected.sort(byDigest));
        }
      },
    },
    {
      id: "referrers-life-of-subject",
      quote: "and `<digest>` is the digest of the manifest specified in the `subject` field.",
      choice:
        "The list is of the digest: it is the same before the subject is pushed, while it is there, and after it was deleted.",
      check: async ({ registry }) => {
        const manifest = await makeImage(registry, repository);
        const subject = describe(manifest, imageManifestType);
        const referrer = await pushReferrer(registry, repository, subject);
        const path = `/v2/${repository}/manifests/${subject.digest}`;
        const isListed = async () => {
          const entries = await referrersOf(registry, repository, subject.digest);
          assert.deepEqual(
            entries.map(({ digest }) => digest),
            [referrer],
          );
        };
        await isListed();
        await registry.pushManifest(repository, subject.digest, manifest);
        await isListed();
        await registry.must(202, "DELETE", path);
        await isListed();
        await registry.must(202, "DELETE", `/v2/${repository}/manifests/${referrer}`);
        assert.deepEqual(await referrersOf(registry, repository, subject.digest), []);
      },
    },
    {
      id: "referrers-artifact-type",
      quote:
        "The descriptors MUST include an `artifactType` field that is set to the value of the `artifactType` in the image manifest or index, if present. If the `artifactType` is empty or missing in the image manifest, the value of `artifactType` MUST be set to the config descriptor `mediaType` value. If the `artifactType` is empty or missing in an index, the `artifactType` MUST be omitted.",
      check: async ({ registry }) => {
        for (const [given, ofImage, ofIndex] of [
          ["a/sbom", "a/sbom", "a/sbom"],
          ["", configType, undefined],
          [undefined, configType, undefined],
        ]) {
          const [inImage, inIndex] = [missing(), missing()];
          const image = await makeImage(registry, repository, { subject: inImage, artifactType: given });
          await registry.pushManifest(repository, "image", image);
          await pushReferrer(registry, repository, inIndex, { artifactType: given });
          const [imageEntry] = await referrersOf(registry, repository, inImage.digest);
          const [indexEntry] = await referrersOf(registry, repository, inIndex.digest);
          assert.deepEqual([imageEntry?.artifactType, indexEntry?.artifactType], [ofImage, ofIndex]);
          assert.equal(Object.hasOwn(indexEntry ?? {}, "artifactType"), ofIndex !== undefined);
        }
      },
    },
    {
      id: "referrers-annotations",
      quote: "The descriptors MUST include annotations from the image manifest or index.",
      check: async ({ registry }) => {
        const annotations = { "org.example.key": 'a "value" ü\u0000', "": "" };
        const subject = missing();
        await registry.pushManifest(
          repository,
          "a",
          await makeImage(registry, repository, { subject, annotations }),
        );
        await pushReferrer(registry, repository, subject, { annotations });
        const entries = await referrersOf(registry, repository, subject.digest);
        assert.deepEqual(
          entries.map((entry) => entry.annotations),
          [annotations, annotations],
        );
      },
    },
    {
      id: "referrers-empty",
      quote: "If a query results in no matching referrers, an empty manifest list MUST be returned.",
      check: async ({ registry, image }) => {
        assert.deepEqual(await referrersOf(registry, "library/app", image.digest), []);
        const subject = subjectOf(image);
        await pushReferrer(registry, repository, subject, { artifactType: "a/sbom" });
        assert.deepEqual(await referrersOf(registry, repository, subject.digest, "?artifactType=a/none"), []);
      },
    },
    {
      id: "referrers-link",
      quote:
        'A `Link` header MUST be included in the response when the descriptor list cannot be returned in a single manifest. Each response is an image index with different descriptors in the `manifests` field. The `Link` header MUST be set according to [RFC 5988](https://www.rfc-editor.org/rfc/rfc5988) with the Relation Type `rel="next"`.',
      choice:
        "A page has at most 10,000 descriptors and 3 MiB, or `n` descriptors, in the order of their digests.",
      check: async ({ registry }) => {
        const subject = missing();
        const annotations = { padding: "x".repeat(1_600_000) };
        const pushed = [
          await pushReferrer(registry, "heavy", subject, { annotations: { ...annotations, n: "1" } }),
          await pushReferrer(registry, "heavy", subject, { annotations: { ...annotations, n: "2" } }),
          await pushReferrer(registry, "heavy", subject),
        ].sort();
        const path = `/v2/heavy/referrers/${subject.digest}`;
        const read = { whole: path, single: `${path}?n=1` };
        for (const [how, first] of Object.entries(read)) {
          assert.notEqual(nextPage(await registry.get(first)), undefined, how);
          const pages = await readPages(
            registry,
            first,
            (list) => list.json<{ manifests: Referrer[] }>().manifests,
          );
          assert.deepEqual(
            pages.all.map(({ digest }) => digest),
            pushed,
            how,
          );
        }
      },
    },
    {
      id: "referrers-filter",
      quote:
        "The registry SHOULD support filtering on `artifactType`. … If filtering is requested and applied, the response MUST include a header `OCI-Filters-Applied: artifactType` denoting that an `artifactType` filter was applied.",
      choice: "Supported, also over pages. Without the parameter, or with an empty one, nothing is filtered.",
      check: async ({ registry }) => {
        const subject = missing();
        const sboms = [];
        for (const artifactType of ["a/sbom", "a/signature", "a/sbom", undefined]) {
          const digest = await pushReferrer(registry, repository, subject, { artifactType });
          if (artifactType === "a/sbom") sboms.push(digest);
        }
        const path = `/v2/${repository}/referrers/${subject.digest}`;
        const filtered = await registry.must(200, "GET", `${path}?artifactType=a%2Fsbom`);
        assert.equal(filtered.header("OCI-Filters-Applied"), "artifactType");
        const read = (list: { json<T>(): T }) => list.json<{ manifests: Referrer[] }>().manifests;
        assert.deepEqual(
          read(filtered).map(({ digest }) => digest),
          sboms.sort(),
        );
        const pages = await readPages(registry, `${path}?artifactType=a/sbom&n=1`, read);
        assert.deepEqual([pages.all, pages.sizes], [read(filtered), [1, 1]]);
        for (const query of ["", "?artifactType="]) {
          const all = await registry.must(200, "GET", path + query);
          assert.deepEqual([read(all).length, all.headers.get("OCI-Filters-Applied")], [4, null]);
        }
      },
    },
    {
      id: "referrers-filters",
      quote:
        "If multiple filters are applied, the header MUST contain a comma separated list of applied filters.",
      choice: "There is one filter; parameters that are no filters are passed over, and not named.",
      check: async ({ registry }) => {
        const path = `/v2/${repository}/referrers/${unknownDigest()}?artifactType=a/b&annotation=x`;
        const list = await registry.must(200, "GET", path);
        assert.equal(list.header("OCI-Filters-Applied"), "artifactType");
      },
    },
  ],
  ofClients: [
    "If the [referrers API](#listing-referrers) returns a 404, the client MUST fallback to pulling the [referrers tag schema](#referrers-tag-schema). The response SHOULD be an image index with the same content that would be expected from the referrers API.",
    "If the response to the [referrers API](#listing-referrers) is a 404, and the tag schema does not return a valid image index, the client SHOULD assume there are no referrers to the manifest.",
  ],
};
