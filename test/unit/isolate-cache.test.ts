import assert from "node:assert/strict";
import test from "node:test";
import { failure } from "../../src/oci/errors.ts";
import { maxManifestBytes } from "../../src/oci/manifest.ts";
import { type Digest, parseDigest, type RepositoryName } from "../../src/oci/reference.ts";
import { findBlob } from "../../src/registry/blobs.ts";
import { IsolateCache } from "../../src/registry/caches.ts";
import { readManifestContent } from "../../src/registry/manifests.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { type BlobLocation, Replica } from "../../src/storage/replica.ts";
import { content, digestOf, unknownDigest } from "../support/content.ts";

function cacheWithClock() {
  let nowMs = 1_700_000_000_000;
  const cache = new IsolateCache({ now: () => nowMs });
  return {
    cache,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

const digest = parseDigest(unknownDigest()) as Digest;
const location = { digest, key: "blobs/1", sizeBytes: 5 };
const row = () => ({ mediaType: "a/b", bytes: content(), plan: [location] });

test("a repository's blobs are remembered for 30 seconds, and for it alone", () => {
  const { cache, advance } = cacheWithClock();
  cache.setBlob("a", location);
  assert.deepEqual(cache.blob("a", digest), location);
  assert.equal(cache.blob("b", digest), undefined);
  advance(30_000);
  assert.equal(cache.blob("a", digest), undefined);
});

test("manifests are remembered up to the largest there are", () => {
  const { cache } = cacheWithClock();
  for (const size of [1000, maxManifestBytes]) {
    const manifest = { ...row(), bytes: content(size) };
    cache.setManifest("a", digestOf(manifest.bytes), manifest);
    assert(cache.manifest("a", digestOf(manifest.bytes))?.bytes === manifest.bytes, String(size));
  }
});

test("a manifest brings where its blobs are", () => {
  const { cache } = cacheWithClock();
  const manifest = row();
  cache.setManifest("a", "m", manifest);
  assert.deepEqual(cache.manifest("a", "m"), { mediaType: "a/b", bytes: manifest.bytes });
  assert.deepEqual(cache.blob("a", digest), location);
  assert.equal(cache.manifest("b", "m"), undefined);
});

test("what was deleted here is not remembered again from a replica that lags", () => {
  const { cache, advance } = cacheWithClock();
  cache.setManifest("a", "m", row());
  cache.noteDeletion("a", "m");
  cache.noteDeletion("a", digest);
  cache.setManifest("a", "m", row());
  cache.setBlob("a", location);
  assert.equal(cache.manifest("a", "m"), undefined);
  assert.equal(cache.blob("a", digest), undefined);
  assert(cache.wasDeleted("a", "m"));
  assert(!cache.wasDeleted("b", "m"));
  advance(150_000);
  assert(!cache.wasDeleted("a", "m"));
  assert.equal(cache.manifest("a", "m"), undefined);
  assert.equal(cache.blob("a", digest), undefined);
});

test("what was not there to be deleted may have been a moment before, and what could not be deleted is there", () => {
  const { cache } = cacheWithClock();
  cache.noteDeletionResult("a", "m", failure("MANIFEST_UNKNOWN"));
  cache.noteDeletionResult("a", digest, failure("BLOB_REFERENCED"));
  assert.deepEqual([cache.wasDeleted("a", "m"), cache.wasDeleted("a", digest)], [true, false]);
});

test("the replica is not asked about what was deleted here a moment ago", async () => {
  const { cache } = cacheWithClock();
  const manifest = row();
  const replica = { blob: async () => location, manifest: async () => manifest };
  const ledger = { locateBlob: async () => undefined, manifest: async () => undefined };
  const registry = { cache, replica, ledger: () => ledger } as unknown as Registry;
  const name = "a" as RepositoryName;
  const found = async () => [
    (await findBlob(registry, name, digest, false)).ok,
    (await readManifestContent(registry, name, digest)).ok,
  ];
  cache.noteDeletion(name, digest);
  assert.deepEqual(await found(), [false, false]);
  cache.notePush(name, digest);
  assert.deepEqual(await found(), [true, true]);
});

test("what was pushed again is remembered again", () => {
  const { cache } = cacheWithClock();
  cache.noteDeletion("a", "m");
  cache.notePush("a", "m");
  cache.setManifest("a", "m", row());
  assert.notEqual(cache.manifest("a", "m"), undefined);
});

test("what is kept of a manifest is what is counted: not the row that it came in, with its plan", async () => {
  const rows = new Map<string, Uint8Array>();
  const kv = {
    put: async (key: string, value: Uint8Array) => void rows.set(key, value),
    get: async (key: string) => rows.get(key)?.slice().buffer ?? null,
  } as unknown as KVNamespace;
  const replica = new Replica(kv);
  const pushed = { ...row(), plan: Array<BlobLocation>(1000).fill(location) };
  const pushedAs = digestOf(pushed.bytes) as Digest;
  const name = "a" as RepositoryName;
  await replica.put(name, { kind: "manifest", digest: pushedAs }, { kind: "manifest", row: pushed });
  const read = await replica.manifest(name, pushedAs);
  assert(read !== undefined);
  const { cache } = cacheWithClock();
  cache.setManifest("a", "m", read);
  const bytes = cache.manifest("a", "m")?.bytes;
  assert.deepEqual(bytes, pushed.bytes);
  assert.equal(bytes?.buffer.byteLength, pushed.bytes.byteLength);
});
