/** Settings that are changed when there are objects already: each notices when it is next constructed, for any call. */
import assert from "node:assert/strict";
import test from "node:test";
import { scheduler } from "node:timers/promises";
import type { Env } from "../../src/bindings.ts";
import { makeShardParts } from "../../src/objects/blob-shard/parts.ts";
import { readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { day } from "../../src/units.ts";
import { configType, content, describe, imageManifest } from "../support/content.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

// As in the runtime of the objects.
Object.assign(globalThis, { scheduler });

const { Ledger } = await import("../../src/objects/ledger.ts");
const { BlobShard } = await import("../../src/objects/blob-shard.ts");

const repository = "team/app" as RepositoryName;

/** Storage of an object; when its alarm is set, from now; and what it has scheduled of a kind. */
function newStorage() {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const { ctx, storage, settle } = memoryContext();
  const alarms: number[] = [];
  storage.setAlarm = async (at) => void alarms.push(Number(at) - clock.nowMs);
  const scheduled = (kind: string) =>
    readRows<{ at: number }>(storage.sql, "SELECT at FROM due WHERE kind = ?", kind).map(
      ({ at }) => at - clock.nowMs,
    );
  return { clock, ctx, storage, settle, alarms, scheduled };
}

/** A ledger with an image that no tag reaches, which was pushed under these settings and has nothing to do. */
async function ledgerOf(vars: Record<string, string>) {
  const made = newStorage();
  const { clock, ctx, settle, alarms } = made;
  const catalog = {
    putRepository: async () => {},
    addCounts: async () => {},
    policies: async () => undefined,
  };
  const webhooks = { accept: async () => ({ isListening: false, quietMs: 1e12 }) };
  const bindings = { CATALOG: namespaceOf(catalog), WEBHOOKS: namespaceOf(webhooks) };
  const open = (changed: Record<string, string>) =>
    new Ledger(ctx, { ...bindings, ...changed } as unknown as Env, clock);
  const ledger = open(vars);
  const bytes = imageManifest(describe(content(), configType), []);
  const digest = digestOfContent(bytes, "sha256");
  const facts = readStoredManifest(bytes, imageManifestType);
  const put = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: true };
  assert.deepEqual(await ledger.putManifest({ ...put, registration: clock.now() }), { ok: true });
  await settle();
  clock.nowMs += 1000;
  await ledger.alarm();
  await settle();
  alarms.length = 0;
  return { ...made, digest, open };
}

test("a ledger is scrubbed once SCRUB_EVERY is turned on, whatever it is called for", async () => {
  const { open, scheduled, alarms } = await ledgerOf({ SCRUB_EVERY: "never" });
  await open({ SCRUB_EVERY: "never" }).info();
  assert.deepEqual([scheduled("scrub"), alarms], [[], []]);
  await open({ SCRUB_EVERY: "30d" }).info();
  assert.deepEqual([scheduled("scrub"), alarms], [[30 * day], [30 * day]]);
});

test("it is scrubbed as soon as a shorter SCRUB_EVERY says, and not later for a longer one", async () => {
  const { open, scheduled, clock } = await ledgerOf({ SCRUB_EVERY: "30d" });
  const before = scheduled("scrub");
  await open({ SCRUB_EVERY: "60d" }).info();
  assert.deepEqual(scheduled("scrub"), before);
  await open({ SCRUB_EVERY: "2d" }).info();
  assert.deepEqual(scheduled("scrub"), [2 * day]);
  clock.nowMs += day;
  await open({ SCRUB_EVERY: "2d" }).info();
  assert.deepEqual(scheduled("scrub"), [day]);
});

test("a ledger whose repository was deleted is not scrubbed", async () => {
  const { open, scheduled, settle } = await ledgerOf({ SCRUB_EVERY: "never" });
  assert.equal((await open({ SCRUB_EVERY: "never" }).deleteRepository(registryItself, undefined)).ok, true);
  await settle();
  await open({ SCRUB_EVERY: "30d" }).info();
  assert.deepEqual(scheduled("scrub"), []);
});

test("a shard is scrubbed once SCRUB_EVERY is turned on, whatever it is called for", async () => {
  const { clock, ctx, storage, alarms, scheduled } = newStorage();
  const open = (SCRUB_EVERY: string) => new BlobShard(ctx, { SCRUB_EVERY } as unknown as Env, clock);
  const digest = digestOfContent(content(), "sha256");
  await open("30d").locate(digest);
  assert.deepEqual(storage.sql.exec("SELECT name FROM sqlite_master").toArray(), [], "it has no data");
  const { store, transaction } = makeShardParts(storage, {} as Env, clock);
  transaction((tx) => {
    store.create(tx);
    store.setBlob(tx, { digest, key: "blobs/1", sizeBytes: 1 });
  });
  await open("never").locate(digest);
  assert.deepEqual([scheduled("scrub"), alarms], [[], []]);
  await open("30d").locate(digest);
  assert.deepEqual([scheduled("scrub"), alarms], [[30 * day], [30 * day]]);
});

test("what nothing reaches goes once UNTAGGED_TTL is set, whatever its repository is called for", async () => {
  const { open, scheduled, alarms, digest, clock } = await ledgerOf({ SCRUB_EVERY: "never" });
  const ledger = open({ SCRUB_EVERY: "never", UNTAGGED_TTL: "2d", GC_GRACE: "1d" });
  assert.equal((await ledger.manifest(digest))?.mediaType, imageManifestType);
  assert.deepEqual(alarms, [0]);
  await ledger.alarm();
  assert.deepEqual(scheduled("untagged"), [2 * day]);
  clock.nowMs += 2 * day;
  await ledger.alarm();
  assert.equal(await ledger.manifest(digest), undefined);
});
