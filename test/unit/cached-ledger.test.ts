/** What a ledger takes of an upstream's answers, and what it gives up of what it caches. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { registryItself as origin } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { type Digest, digestOfContent, type RepositoryName, type Tag } from "../../src/oci/reference.ts";
import { dayOf } from "../../src/units.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageManifest,
  layerType,
  mebibyte,
} from "../support/content.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

const { Ledger } = await import("../../src/objects/ledger.ts");

const repository = "hub/app" as RepositoryName;
const latest = "latest" as Tag;
const dayMs = 86_400_000;

/** The object of a repository that nobody has written to. */
function newLedger(vars: Partial<Env> = {}) {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const { ctx } = memoryContext();
  const webhooks = { accept: async () => ({ isListening: false, quietMs: 1e12 }) };
  const catalog = { putRepository: async () => {}, removeRepository: async () => {} };
  const env = { WEBHOOKS: namespaceOf(webhooks), CATALOG: namespaceOf(catalog), ...vars };
  const ledger = new Ledger(ctx, env as unknown as Env, clock);
  const written = (bytes: Uint8Array, mediaType: string) => ({
    repository,
    origin,
    registration: clock.now(),
    digest: digestOfContent(bytes, "sha256"),
    bytes,
    facts: readStoredManifest(bytes, mediaType),
  });
  return {
    ledger,
    clock,
    /** Pushes an image. */
    push: async (bytes: Uint8Array) => {
      const put = { ...written(bytes, imageManifestType), tags: [latest], sparse: true };
      assert.deepEqual(await ledger.putManifest(put), { ok: true });
      return put.digest;
    },
    /** Stores what an upstream answered to a question that was asked when the repository was as it is now, or `since`. */
    fetch: async (bytes: Uint8Array, mediaType = imageManifestType, since?: { born: number }) => {
      const { born } = since ?? (await ledger.blobState(digestOfContent(bytes, "sha256")));
      const put = { ...written(bytes, mediaType), since: { born } };
      return { outcome: await ledger.putFetched(put), digest: put.digest };
    },
    /** Links a blob that was fetched when the repository was as it is now, or for the one of this time. */
    link: async (bytes: Uint8Array, born?: number) => {
      const digest = digestOfContent(bytes, "sha256");
      const leaseUntil = clock.now() + 1000;
      const adoption = { digest, key: `blobs/${digest}`, sizeBytes: bytes.byteLength, lease: 1, leaseUntil };
      const since = born ?? (await ledger.blobState(digest)).born;
      return ledger.linkBlob({ repository, adoption, origin, registration: clock.now(), born: since });
    },
  };
}

/** An image of these blobs, of which the first is its config. */
function imageOf(config: Uint8Array, ...layers: Uint8Array[]): Uint8Array {
  return imageManifest(
    describe(config, configType),
    layers.map((layer) => describe(layer, layerType)),
  );
}

test("what was pushed here takes nothing from an upstream, and gives nothing up", async () => {
  const { ledger, clock, push, fetch, link } = newLedger();
  const digest = await push(imageOf(content()));
  // The question was asked when there was no repository.
  assert.equal((await fetch(imageOf(content()), imageManifestType, { born: 0 })).outcome, "changed");
  assert.equal(await link(content(), 0), "changed");
  assert.equal(await ledger.dropGone({ tag: latest, sequence: 0 }, origin), "changed");
  const evicted = await ledger.evict(dayOf(clock.now()) + 2, origin);
  assert.deepEqual(evicted, { manifests: 0, blobs: 0, bytes: 0, more: false });
  assert.notEqual(await ledger.statManifest(digest), undefined);
  assert.deepEqual(
    (await ledger.resolveTags([latest])).map((each) => each?.digest),
    [digest],
  );
});

test("what was fetched for a repository that was deleted meanwhile is not linked in the next one", async () => {
  const { ledger, clock, fetch, link } = newLedger();
  await fetch(imageOf(content()));
  const layer = content();
  const { born } = await ledger.blobState(digestOfContent(layer, "sha256"));
  clock.nowMs += 1000;
  await ledger.deleteRepository(origin, undefined);
  assert.equal(await link(layer, born), "changed");
  await fetch(imageOf(content()));
  assert.equal(await link(layer, born), "changed");
  assert.equal(await link(layer), "linked");
});

test("an index stays while an image of it is used, and a blob while an image that has it does", async () => {
  const { ledger, clock, fetch, link } = newLedger();
  const [shared, own] = [content(), content()];
  const used = imageOf(shared);
  const old = imageOf(shared, own);
  const index = encode({
    schemaVersion: 2,
    mediaType: imageIndexType,
    manifests: [describe(used, imageManifestType)],
  });
  const digests: Digest[] = [];
  for (const [bytes, type] of [
    [used, imageManifestType],
    [old, imageManifestType],
    [index, imageIndexType],
  ] as const)
    digests.push((await fetch(bytes, type)).digest);
  for (const blob of [shared, own]) assert.equal(await link(blob), "linked");
  clock.nowMs += 10 * dayMs;
  const today = dayOf(clock.now());
  await ledger.recordUses([{ digest: digests[0] as Digest }], today);
  const { manifests, blobs } = await ledger.evict(today, origin);
  assert.deepEqual([manifests, blobs], [1, 1]);
  const left = await Promise.all(
    digests.map(async (each) => (await ledger.statManifest(each)) !== undefined),
  );
  assert.deepEqual(left, [true, false, true]);
});

test("an evicted image is gone with its blobs when the jobs have run, whatever the grace", async () => {
  const released: Digest[] = [];
  const shard = { release: async (_: string, digests: Digest[]) => void released.push(...digests) };
  const vars = { GC_GRACE: "7d", BLOB_SHARDS: namespaceOf(shard) } as unknown as Partial<Env>;
  const { ledger, clock, fetch, link } = newLedger(vars);
  const layer = content();
  await fetch(imageOf(layer));
  assert.equal(await link(layer), "linked");
  clock.nowMs += dayMs;
  await ledger.evict(dayOf(clock.now()), origin);
  await ledger.collect({ budgetMs: 1000, endsGrace: false });
  assert.equal((await ledger.cacheUsage())?.bytes, 0);
  assert.deepEqual(released, [digestOfContent(layer, "sha256")]);
});

test("a tag that was moved during a question is not deleted by its answer", async () => {
  const { ledger, fetch } = newLedger();
  const { digest } = await fetch(imageOf(content()));
  await ledger.overrideTag(latest, digest, "moved", origin);
  assert.equal(await ledger.dropGone({ tag: latest, sequence: 0 }, origin), "changed");
  assert.deepEqual(
    (await ledger.resolveTags([latest])).map((each) => each?.digest),
    [digest],
  );
});

test("a cached repository that is full takes no manifest", async () => {
  const { fetch } = newLedger({ LEDGER_LIMIT: "1MiB" } as Partial<Env>);
  const large = imageManifest(describe(content(), configType), [], {
    annotations: { a: "a".repeat(1.5 * mebibyte) },
  });
  assert.equal((await fetch(large)).outcome, "done");
  assert.equal((await fetch(imageOf(content()))).outcome, "full");
});
