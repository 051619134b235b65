import assert from "node:assert/strict";
import test from "node:test";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
  isMediaType,
  kindOfMediaType,
  mediaTypeOfHeader,
} from "../../src/oci/media-type.ts";

test("images and indexes are told by OCI's and Docker's types", () => {
  for (const type of [imageManifestType, dockerManifestType]) assert.equal(kindOfMediaType(type), "image");
  for (const type of [imageIndexType, dockerManifestListType]) assert.equal(kindOfMediaType(type), "index");
  assert.equal(kindOfMediaType(imageManifestType.toUpperCase()), "image");
  for (const type of ["application/json", `${imageManifestType}x`, ""]) {
    assert.equal(kindOfMediaType(type), "other");
  }
});

test("a media type is two names of RFC 6838, without parameters", () => {
  for (const type of [imageManifestType, "a/b", "application/vnd.x+json", "x/y!#$&^_.+-"])
    assert(isMediaType(type), type);
  for (const type of [
    "",
    "a",
    "a/",
    "/b",
    "a/b/c",
    "a/b; c=d",
    "a /b",
    "a/b\r\nX: y",
    "ä/b",
    `a/${"b".repeat(128)}`,
  ]) {
    assert(!isMediaType(type), type);
  }
});

test("parameters of a Content-Type are ignored", () => {
  assert.equal(mediaTypeOfHeader("a/b; charset=utf-8"), "a/b");
  assert.equal(mediaTypeOfHeader(" a/b "), "a/b");
  for (const header of [null, "", "; charset=utf-8"]) assert.equal(mediaTypeOfHeader(header), undefined);
});
