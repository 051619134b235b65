import assert from "node:assert/strict";
import { content, digestOf, unknownDigest } from "../../support/content.ts";
import type { Section } from "../statement.ts";
import { algorithms, library, makeImage } from "../world.ts";

export const checkingExistence: Section = {
  document: "distribution-spec",
  title: "Checking if content exists in the registry",
  statements: [
    {
      id: "head-200",
      quote:
        "A HEAD request to an existing blob or manifest URL MUST return `200 OK`. A successful response MUST contain the digest of the uploaded blob or manifest in the header `Docker-Content-Digest`. A successful response MUST contain the size in bytes of the uploaded blob or manifest in the header `Content-Length`.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const blob = content(123);
          const blobDigest = await registry.pushBlob("head", blob, digestOf(blob, algorithm));
          const manifest = await makeImage(registry, "head");
          const digest = digestOf(manifest, algorithm);
          await registry.pushManifest("head", `${digest}?tag=${algorithm}`, manifest);
          for (const [path, expected, size] of [
            [`blobs/${blobDigest}`, blobDigest, 123],
            [`manifests/${digest}`, digest, manifest.byteLength],
            [`manifests/${algorithm}`, digest, manifest.byteLength],
          ] as const) {
            const head = await registry.must(200, "HEAD", `/v2/head/${path}`);
            assert.equal(head.bytes.byteLength, 0);
            assert.equal(head.header("Docker-Content-Digest"), expected);
            assert.equal(head.header("Content-Length"), String(size));
          }
        }
      },
    },
    {
      id: "head-404",
      quote:
        "If the blob or manifest is not found in the repository, the response code MUST be `404 Not Found`.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const digest = unknownDigest(algorithm);
          for (const path of [`blobs/${digest}`, `manifests/${digest}`, "manifests/unknown"]) {
            await registry.must(404, "HEAD", `/v2/${library}/${path}`);
            await registry.must(404, "HEAD", `/v2/nowhere/${path}`);
          }
        }
      },
    },
  ],
};
