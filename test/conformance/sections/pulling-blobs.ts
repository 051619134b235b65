import assert from "node:assert/strict";
import { expectError } from "../../support/answer.ts";
import { content, digestOf, rangeParts, unknownDigest } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, library } from "../world.ts";

export const pullingBlobs: Section = {
  document: "distribution-spec",
  title: "Pulling blobs",
  statements: [
    {
      id: "blob-200",
      quote:
        "A GET request to an existing blob URL MUST provide the expected blob, with a response code that MUST be `200 OK`. A successful response MUST contain the digest of the uploaded blob in the header `Docker-Content-Digest`.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          for (const size of [0, 1, 100_000]) {
            const bytes = content(size);
            const digest = await registry.pushBlob("pull-blob", bytes, digestOf(bytes, algorithm));
            const pulled = await registry.must(200, "GET", `/v2/pull-blob/blobs/${digest}`);
            assert.deepEqual(pulled.bytes, bytes);
            assert.equal(pulled.header("Docker-Content-Digest"), digest);
          }
        }
      },
    },
    {
      id: "blob-digest-is-of-body",
      quote: "If present, the value of this header MUST be a digest matching that of the response body.",
      check: async ({ registry, image }) => {
        for (const digest of [image.config, ...image.layers]) {
          const pulled = await registry.must(200, "GET", `/v2/${library}/blobs/${digest}`);
          assert.equal(pulled.header("Docker-Content-Digest"), digestOf(pulled.bytes));
        }
      },
    },
    {
      id: "blob-404",
      quote: "If the blob is not found in the repository, the response code MUST be `404 Not Found`.",
      choice: "So is one that another repository has.",
      check: async ({ registry, image }) => {
        await registry.pushBlob("pull-blob", content());
        for (const digest of [unknownDigest("sha256"), unknownDigest("sha512"), image.config]) {
          expectError(await registry.get(`/v2/pull-blob/blobs/${digest}`), 404, "BLOB_UNKNOWN");
        }
      },
    },
    {
      id: "blob-range",
      quote:
        "A registry SHOULD support the `Range` request header in accordance with [RFC 9110 (section 14)](https://www.rfc-editor.org/rfc/rfc9110#section-14).",
      choice:
        "206, or 416 with the size. Several ranges come as `multipart/byteranges`, in the order asked. The whole comes where ranges overlap, are more than 1,024, or the blob is empty.",
      check: async ({ registry }) => {
        const bytes = content(1000);
        const path = `/v2/pull-blob/blobs/${await registry.pushBlob("pull-blob", bytes)}`;
        for (const [range, first, end] of [
          ["bytes=0-0", 0, 1],
          ["bytes=500-", 500, 1000],
          ["bytes=-10", 990, 1000],
          ["bytes=990-2000", 990, 1000],
        ] as const) {
          const part = await registry.must(206, "GET", path, { headers: { Range: range } });
          assert.deepEqual(part.bytes, bytes.slice(first, end), range);
          assert.equal(part.header("Content-Range"), `bytes ${first}-${end - 1}/1000`);
        }
        const beyond = await registry.must(416, "GET", path, { headers: { Range: "bytes=1000-" } });
        assert.equal(beyond.header("Content-Range"), "bytes */1000");
        const several = await registry.must(206, "GET", path, { headers: { Range: "bytes=4-5,0-1" } });
        assert.deepEqual(
          rangeParts(several.headers, several.bytes).map((part) => part.bytes),
          [bytes.slice(4, 6), bytes.slice(0, 2)],
        );
        const overlapping = await registry.must(200, "GET", path, { headers: { Range: "bytes=0-1,1-2" } });
        assert.deepEqual(overlapping.bytes, bytes);
      },
    },
  ],
  ofClients: [
    "Most clients MAY ignore the value, but if it is used, the client MUST verify the value matches the returned response body.",
    "Clients SHOULD verify that the response body matches the requested digest.",
  ],
};
