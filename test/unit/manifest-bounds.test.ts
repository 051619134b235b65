import assert from "node:assert/strict";
import test from "node:test";
import { readManifest } from "../../src/oci/manifest.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { content, describe, encode, unknownDigest } from "../support/content.ts";

const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";

/** An image with one layer that says so of its urls. */
function imageWithUrls(urls: unknown): Uint8Array {
  const layer = { ...describe(content(), layerType), urls };
  const config = describe(content(), configType);
  return encode({ schemaVersion: 2, mediaType: imageManifestType, config, layers: [layer] });
}

for (const urls of ["https://elsewhere.example/", [1], [[]], {}, [""], [], null]) {
  test(`urls that are ${JSON.stringify(urls)} waive nothing`, () => {
    const reading = readManifest(imageWithUrls(urls), imageManifestType);
    assert(reading.ok);
    assert.deepEqual(
      reading.facts.references.map(({ required }) => required !== undefined),
      [true, true],
    );
  });
}

test("what stands under one subject, or many, is bounded like other references", () => {
  const digest = unknownDigest();
  const entries = Array.from({ length: 20_002 }, () => `"digest":"${digest}"`).join(",");
  const text = `{"mediaType":"application/vnd.example+json","subject":{${entries}}}`;
  assert(!readManifest(new TextEncoder().encode(text), "application/vnd.example+json").ok);
});
