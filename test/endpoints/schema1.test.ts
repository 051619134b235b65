/** Docker's schema 1, which clients read in manifests of any type: its layers are named in a way that no other has. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { content, encode } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { leavesUnchanged } from "../support/snapshot.ts";

const registry = await startRegistry();
const layer = await registry.pushBlob("old", content());

const schema1Type = "application/vnd.docker.distribution.manifest.v1+json";
const signedType = "application/vnd.docker.distribution.manifest.v1+prettyjws";

const manifest = {
  schemaVersion: 1,
  name: "old",
  tag: "v1",
  architecture: "amd64",
  fsLayers: [{ blobSum: layer }],
  history: [{ v1Compatibility: '{"id":"0"}' }],
};
const text = JSON.stringify(manifest);
const signed = JSON.stringify({ ...manifest, signatures: [{ header: {}, signature: "x", protected: "x" }] });

const refused: Record<string, [source: string, type: string]> = {
  "under its type": [text, schema1Type],
  "under its signed type": [signed, signedType],
  "under its type in another case, with a parameter": [
    signed,
    "Application/vnd.docker.distribution.manifest.V1+prettyjws; charset=utf-8",
  ],
  "under its type, whatever it is": [JSON.stringify({ x: 1 }), schema1Type],
  "that says its type itself": [JSON.stringify({ ...manifest, mediaType: schema1Type }), ""],
  "of no type": [text, ""],
  "as JSON": [text, "application/json"],
  "of a type that nobody knows": [text, "application/vnd.example+json"],
  "as an image": [text, imageManifestType],
  "as an index": [text, imageIndexType],
  "with its fields in another case": [
    text.replace("schemaVersion", "SCHEMAversion").replace("fsLayers", "F\u017flayers"),
    "application/json",
  ],
  "with its fields escaped": [text.replace("fsLayers", "\\u0066sLayers"), "application/json"],
  "with another version after its own": [
    text.replace("{", '{"schemaVersion":1,').replace(/:1,"name/, ':2,"name'),
    "application/json",
  ],
  "with another version before its own": [text.replace("{", '{"schemaVersion":2,'), "application/json"],
  "with a version that only JavaScript reads": [text.replace(":1,", ":1.0,"), "application/json"],
};

for (const [what, [source, type]] of Object.entries(refused)) {
  test(`a manifest of schema 1 ${what} is refused, with how to convert it`, async () => {
    JSON.parse(source);
    await leavesUnchanged(registry, async () => {
      const headers: Record<string, string> = type === "" ? {} : { "Content-Type": type };
      const put = { headers, body: encode(source) };
      const answer = await registry.send("PUT", "/v2/old/manifests/v1", put);
      assert.match(
        expectError(answer, 400, "MANIFEST_INVALID").message,
        /schema 1 .*skopeo copy --format v2s2/,
      );
    });
  });
}

test("what has but one of its fields is taken under a type that nobody knows", async () => {
  for (const fields of [{ schemaVersion: 1 }, { fsLayers: [] }, { schemaVersion: 2, fsLayers: [] }]) {
    await registry.pushManifest("old", "other", encode(fields), "application/vnd.example+json");
  }
});
