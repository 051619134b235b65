import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { type Answer, expectError } from "../../support/answer.ts";
import { content, describe, digestOf, encode, mebibyte, unknownDigest } from "../../support/content.ts";
import type { TestRegistry } from "../../support/registry.ts";
import type { Section } from "../statement.ts";
import { algorithms, makeImage, makeIndex, tagsOf } from "../world.ts";

/** Pushes a manifest by digest, with tags; returns the answer. */
async function pushWithTags(registry: TestRegistry, manifest: Uint8Array, tags: string[]): Promise<Answer> {
  const query = tags.map((tag) => `tag=${tag}`).join("&");
  return registry.putManifest("tag-param", `${digestOf(manifest)}?${query}`, manifest, imageIndexType);
}

/** An index of this many bytes. */
function indexOfSize(bytes: number): Uint8Array {
  const room = bytes - makeIndex({ padding: "" }).byteLength;
  return makeIndex({ padding: "x".repeat(room) });
}

/** JSON that a parser reads and a serialiser would write otherwise. */
const unusualJson: Record<string, string> = {
  "odd white space": '\r\n\t{ "schemaVersion" :\n2 ,"manifests":[ ]\t}\n\n ',
  "unknown fields, in an odd order": '{"z":{"y":[null,true]},"manifests":[],"a":1,"schemaVersion":2}',
  "escapes where none are needed":
    '{"\\u0073chemaVersion":2,"manifests":[],"\\u00e9":"\\/\\ud83d\\ude00é😀\\u0000"}',
  "a lone surrogate": '{"schemaVersion":2,"manifests":[],"a":"\\ud800"}',
  "numbers that a double cannot hold":
    '{"schemaVersion":2,"manifests":[],"n":[12345678901234567890.10,-0,1e400]}',
  "names that occur twice": '{"schemaVersion":2,"manifests":[],"a":1,"a":2,"A":3}',
  "names that objects have anyway":
    '{"schemaVersion":2,"manifests":[],"__proto__":{"subject":1},"constructor":null}',
};

export const pushingManifests: Section = {
  document: "distribution-spec",
  title: "Pushing Manifests",
  statements: [
    {
      id: "manifest-type-parameters",
      quote: "The registry SHOULD ignore parameters on the `Content-Type` header.",
      choice: "They are ignored and not kept.",
      check: async ({ registry }) => {
        const type = `${imageIndexType}; charset=utf-8`;
        const digest = await registry.pushManifest("put-manifest", "parameters", makeIndex(), type);
        const pulled = await registry.must(200, "GET", `/v2/put-manifest/manifests/${digest}`);
        assert.equal(pulled.header("Content-Type"), imageIndexType);
      },
    },
    {
      id: "manifest-media-type-field",
      quote:
        "All manifests SHOULD include a `mediaType` field declaring the type of the manifest being pushed. If a manifest includes a `mediaType` field, clients MUST set the `Content-Type` header to the value specified by the `mediaType` field.",
      choice:
        "Two types that differ are `MANIFEST_INVALID`; one of them suffices; a manifest without any is `MANIFEST_INVALID`.",
      check: async ({ registry }) => {
        const put = (body: Uint8Array, headers: Record<string, string> = {}) =>
          registry.send("PUT", "/v2/put-manifest/manifests/type", { headers, body });
        const untyped = makeIndex({ mediaType: undefined });
        expectError(await put(makeIndex(), { "Content-Type": imageManifestType }), 400, "MANIFEST_INVALID");
        expectError(await put(untyped), 400, "MANIFEST_INVALID");
        assert.equal((await put(untyped, { "Content-Type": imageIndexType })).status, 201);
        assert.equal((await put(makeIndex())).status, 201);
      },
    },
    {
      id: "manifest-put-by-tag-or-digest",
      quote: "and the `<tag-or-digest>` MUST be either a) a digest or b) a tag.",
      check: async ({ registry }) => {
        const manifest = makeIndex();
        for (const reference of ["latest", ...algorithms.map((algorithm) => digestOf(manifest, algorithm))]) {
          await registry.pushManifest("put-reference", reference, manifest, imageIndexType);
        }
        assert.deepEqual(await tagsOf(registry, "put-reference"), ["latest"]);
        for (const [reference, code] of [
          [".x", "MANIFEST_INVALID"],
          ["sha256:x", "DIGEST_INVALID"],
        ] as const) {
          expectError(
            await registry.putManifest("put-reference", reference, manifest, imageIndexType),
            400,
            code,
          );
        }
      },
    },
    {
      id: "manifest-no-blobs",
      quote:
        "The uploaded manifest MUST reference any blobs that make up the object. However, the list of blobs MAY be empty.",
      check: async ({ registry }) => {
        const manifest = await makeImage(registry, "no-layers", { layers: [] });
        await registry.pushManifest("no-layers", "image", manifest);
        await registry.pushManifest("no-layers", "index", makeIndex({ manifests: [] }), imageIndexType);
        await registry.must(200, "GET", `/v2/no-layers/manifests/${digestOf(manifest)}`);
      },
    },
    {
      id: "manifest-exact-bytes",
      quote: "The registry MUST store the manifest in the exact byte representation provided by the client.",
      choice:
        "What is JSON in UTF-8 comes back byte for byte. A byte order mark is not JSON: `MANIFEST_INVALID`.",
      check: async ({ registry }) => {
        for (const [what, text] of Object.entries(unusualJson)) {
          const manifest = encode(text);
          for (const [algorithm, type] of [
            ["sha256", imageIndexType],
            ["sha512", "application/vnd.example.unknown+json"],
          ] as const) {
            const digest = digestOf(manifest, algorithm);
            await registry.pushManifest("exact", `${digest}?tag=latest`, manifest, type);
            for (const reference of [digest, "latest"]) {
              const pulled = await registry.must(200, "GET", `/v2/exact/manifests/${reference}`);
              assert.deepEqual(pulled.bytes, manifest, what);
            }
          }
        }
        const marked = encode(`\ufeff${unusualJson["odd white space"]}`);
        expectError(
          await registry.putManifest("exact", "bom", marked, imageIndexType),
          400,
          "MANIFEST_INVALID",
        );
      },
    },
    {
      id: "manifest-201",
      quote:
        "Upon a successful upload, the registry MUST return response code `201 Created`, and MUST have the following header: … The `<location>` is a pullable manifest URL.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const manifest = makeIndex();
          for (const reference of ["latest", digestOf(manifest, algorithm)]) {
            const put = await registry.putManifest("put-201", reference, manifest, imageIndexType);
            assert.equal(put.status, 201);
            assert.deepEqual((await registry.must(200, "GET", put.header("Location"))).bytes, manifest);
          }
        }
      },
    },
    {
      id: "manifest-put-digest",
      quote:
        "The Docker-Content-Digest header returns the digest of the uploaded blob, and MUST be equal to the client provided digest.",
      choice:
        "A manifest that is not what its digest says is `DIGEST_INVALID`. One that is pushed by tag gets a sha256 digest.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const manifest = makeIndex();
          const digest = digestOf(manifest, algorithm);
          const put = await registry.putManifest("put-digest", digest, manifest, imageIndexType);
          assert.equal(put.header("Docker-Content-Digest"), digest);
          const tagged = await registry.putManifest("put-digest", "latest", manifest, imageIndexType);
          assert.equal(tagged.header("Docker-Content-Digest"), digestOf(manifest));
          const wrong = await registry.putManifest(
            "put-digest",
            unknownDigest(algorithm),
            manifest,
            imageIndexType,
          );
          expectError(wrong, 400, "DIGEST_INVALID");
        }
      },
    },
    {
      id: "tag-parameters",
      quote:
        "When pushing a manifest by digest, the registry MAY support the pushing of tags specified by addition of `tag` query parameters.",
      choice:
        "Supported: the manifest and all its tags in one transaction. One malformed tag refuses them all.",
      check: async ({ registry }) => {
        const manifest = makeIndex();
        assert.equal((await pushWithTags(registry, manifest, ["1.2.3", "1.2", "1", "latest"])).status, 201);
        for (const tag of ["1.2.3", "1.2", "1", "latest"]) {
          const pulled = await registry.must(200, "GET", `/v2/tag-param/manifests/${tag}`);
          assert.deepEqual(pulled.bytes, manifest);
        }
        const other = makeIndex();
        expectError(await pushWithTags(registry, other, ["latest", ".bad"]), 400, "MANIFEST_INVALID");
        const latest = await registry.must(200, "HEAD", "/v2/tag-param/manifests/latest");
        assert.equal(latest.header("Docker-Content-Digest"), digestOf(manifest));
      },
    },
    {
      id: "tag-parameters-number",
      quote:
        "SHOULD support pushing at least 10 tags per request. 1. MAY return a `414 Request-URI Too Long` status if too many tags are included in the request.",
      choice: "As many as a URL holds; there is no limit of its own.",
      check: async ({ registry }) => {
        const tags = Array.from({ length: 200 }, (_, index) => `many-${index}`);
        const put = await pushWithTags(registry, makeIndex(), tags);
        assert.deepEqual(put.header("OCI-Tag").split(", "), tags);
      },
    },
    {
      id: "oci-tag",
      quote:
        "MUST include an `OCI-Tag` response header, in accordance with [RFC 9110 (section 5)](https://www.rfc-editor.org/rfc/rfc9110#section-5) semantics, for each accepted tag.",
      choice: "One header with all of them, each once. A push by tag has none.",
      check: async ({ registry }) => {
        const manifest = makeIndex();
        const put = await pushWithTags(registry, manifest, ["a", "b", "a"]);
        assert.equal(put.header("OCI-Tag"), "a, b");
        for (const reference of ["latest", digestOf(manifest)]) {
          const plain = await registry.putManifest("tag-param", reference, manifest, imageIndexType);
          assert.equal(plain.headers.get("OCI-Tag"), null);
        }
      },
    },
    {
      id: "repository-404",
      quote: "An attempt to pull a nonexistent repository MUST return response code `404 Not Found`.",
      check: async ({ registry }) => {
        for (const path of ["manifests/latest", `manifests/${unknownDigest()}`, `blobs/${unknownDigest()}`]) {
          assert.equal((await registry.get(`/v2/nonexistent/${path}`)).status, 404);
        }
      },
    },
    {
      id: "manifest-too-large",
      quote:
        "A registry SHOULD enforce some limit on the maximum manifest size that it can accept. A registry that enforces this limit SHOULD respond to a request to push a manifest over this limit with a response code `413 Payload Too Large`.",
      choice: "4 MiB; beyond it 413 with `SIZE_INVALID`.",
      check: async ({ registry }) => {
        const refused = await registry.putManifest(
          "large",
          "latest",
          indexOfSize(4 * mebibyte + 1),
          imageIndexType,
        );
        expectError(refused, 413, "SIZE_INVALID");
      },
    },
    {
      id: "manifest-4-megabytes",
      quote:
        "Client and registry implementations SHOULD expect to be able to support manifest pushes of at least 4 megabytes.",
      choice: "4 MiB, to the byte.",
      check: async ({ registry }) => {
        const manifest = indexOfSize(4 * mebibyte);
        const digest = await registry.pushManifest("large", "latest", manifest, imageIndexType);
        assert.equal(digestOf((await registry.must(200, "GET", "/v2/large/manifests/latest")).bytes), digest);
      },
    },
    {
      id: "manifest-other-types",
      quote: "The specification is designed to be agnostic of content types.",
      choice:
        "A manifest of an unknown type is a JSON object that is kept as it is. Every digest that stands under a key `digest` or `blobSum` in it, however deep, keeps its content alive; nothing has to be there. One that clients would take for Docker's schema 1 is `MANIFEST_INVALID`.",
      check: async ({ registry }) => {
        const type = "application/vnd.in-toto+json";
        const statement = {
          subject: [{ name: "a", digest: { sha256: "x" } }],
          annotations: { n: 1 },
          artifactType: 1,
        };
        const manifest = encode({ ...statement, blobs: [describe(content(), "a/b")] });
        await registry.pushManifest("other-types", "latest", manifest, type);
        const pulled = await registry.must(200, "GET", "/v2/other-types/manifests/latest");
        assert.deepEqual(pulled.bytes, manifest);
        assert.equal(pulled.header("Content-Type"), type);
      },
    },
  ],
  ofClients: [
    "Clients SHOULD set the `Content-Type` header to the type of the manifest being pushed.",
    "The client SHOULD NOT include parameters on the `Content-Type` header",
    "Clients MAY ignore the value but if it is used, the client SHOULD verify the value against the uploaded blob data.",
    "Clients MAY see other status codes (`431 Request Header Fields Too Large`) depending on the registry implementation.",
  ],
};
