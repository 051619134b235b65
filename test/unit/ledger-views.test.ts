/** What a page about a manifest shows stays small, whatever somebody has pushed. */
import assert from "node:assert/strict";
import test from "node:test";
import { viewManifest } from "../../src/objects/ledger/views.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import type { ReferrerView } from "../../src/rpc/ledger-views.ts";
import { configType, content, describe, imageIndex, imageManifest, mebibyte } from "../support/content.ts";
import { memoryLedger } from "../support/ledger.ts";

const repository = "team/app" as RepositoryName;

/** A ledger to push to without blobs, and the view of a manifest in it. */
function ledger() {
  const parts = memoryLedger();
  const push = (bytes: Uint8Array, mediaType = imageManifestType): Digest => {
    const digest = digestOfContent(bytes, "sha256");
    const facts = readStoredManifest(bytes, mediaType);
    const put = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: true };
    parts.change((tx) => parts.manifests.store(tx, put));
    return digest;
  };
  const view = (digest: Digest) => {
    const found = viewManifest(parts.sql, parts.manifests, digest);
    assert(found !== undefined);
    return found;
  };
  return { push, view };
}

/** A manifest of its own. */
function manifest(more: object = {}, layers: Parameters<typeof imageManifest>[1] = []) {
  return imageManifest(describe(content(), configType), layers, more);
}

function about(subject: Digest, more: object = {}) {
  return manifest({ subject: { mediaType: imageManifestType, digest: subject, size: 1 }, ...more });
}

function count(referrers: ReferrerView[]): number {
  return referrers.reduce((sum, { referrers: own }) => sum + 1 + count(own), 0);
}

test("few referrers are all shown, each with its own", () => {
  const { push, view } = ledger();
  const image = push(manifest());
  for (let signature = 0; signature < 3; signature++) push(about(push(about(push(about(image))))));
  const { referrers } = view(image);
  assert.deepEqual([referrers.length, count(referrers)], [3, 9]);
});

test("what refers to a referrer is shown to a depth of three", () => {
  const { push, view } = ledger();
  let last = push(manifest());
  const image = last;
  for (let depth = 0; depth < 5; depth++) last = push(about(last));
  assert.equal(count(view(image).referrers), 3);
});

test("of many referrers that have many themselves, few are shown", () => {
  const { push, view } = ledger();
  const image = push(manifest());
  for (let each = 0; each < 40; each++) {
    const referrer = push(about(image));
    for (let own = 0; own < 10; own++) push(about(referrer));
  }
  const { referrers } = view(image);
  assert.equal(referrers.length, 40);
  assert.equal(count(referrers), 200);
});

test("referrers are shown up to 4 MiB of manifests", () => {
  const { push, view } = ledger();
  const image = push(manifest());
  for (let each = 0; each < 9; each++) push(about(image, { annotations: { large: "x".repeat(mebibyte) } }));
  const { referrers } = view(image);
  assert.equal(referrers.length, 3);
  assert(JSON.stringify(referrers).length < 4 * mebibyte);
});

test("attestations that an index says to be about each other are shown once", () => {
  const { push, view } = ledger();
  const image = manifest();
  const layer = describe(content(), "application/vnd.in-toto+json");
  const attestations = Array.from({ length: 20 }, () => manifest({}, [layer]));
  const subjects = [image, ...attestations];
  const listed = attestations.flatMap((attestation) =>
    subjects.map((subject) =>
      describe(attestation, imageManifestType, {
        annotations: { "vnd.docker.reference.digest": digestOfContent(subject, "sha256") },
      }),
    ),
  );
  for (const bytes of subjects) push(bytes);
  push(imageIndex([describe(image, imageManifestType), ...listed]), imageIndexType);
  const { referrers } = view(digestOfContent(image, "sha256"));
  assert.equal(referrers.length, 20);
  assert.equal(count(referrers), 20);
  assert(referrers.every(({ by }) => by === "index"));
});

test("an index shows its manifests without their tags, as far as these are not too large", () => {
  const { push, view } = ledger();
  const large = Array.from({ length: 3 }, (_, each) =>
    imageIndex([], { annotations: { each: `${each}`, large: "x".repeat(1.5 * mebibyte) } }),
  );
  const image = manifest();
  for (const bytes of large) push(bytes, imageIndexType);
  push(image);
  const all = [...large.map((bytes) => describe(bytes, imageIndexType)), describe(image, imageManifestType)];
  const { children } = view(push(imageIndex(all), imageIndexType));
  assert.deepEqual(
    children.map(({ manifest: known }) => known?.kind),
    ["index", "index", undefined, "image"],
  );
  assert(children.every(({ manifest: known }) => known === undefined || !("tags" in known)));
});
