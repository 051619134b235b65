/** What a ledger announces of its repository to the catalog and to the search, and that it does so by itself. */
import assert from "node:assert/strict";
import test from "node:test";
import { scheduler } from "node:timers/promises";
import type { Env } from "../../src/bindings.ts";
import { readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { digestOfContent, type RepositoryName, type Tag } from "../../src/oci/reference.ts";
import type { SearchEntry } from "../../src/rpc/search-api.ts";
import { dayOf } from "../../src/units.ts";
import { configType, content, describe, imageManifest } from "../support/content.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

// As in the runtime of the objects.
Object.assign(globalThis, { scheduler });

const { Ledger } = await import("../../src/objects/ledger.ts");

const repository = "team/app" as RepositoryName;

/** The object of a ledger with its first image, which has announced itself and has nothing to do until the next day. */
async function ledgerAtRest() {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const { ctx, storage, settle } = memoryContext();
  const alarms: number[] = [];
  storage.setAlarm = async (at) => void alarms.push(Number(at));
  const searched: SearchEntry[] = [];
  const search = { put: async (entry: SearchEntry) => void searched.push(entry) };
  const listed: (number | undefined)[] = [];
  const catalog = {
    putRepository: async (_: object, usedDay?: number) => void listed.push(usedDay),
    addCounts: async () => {},
    policies: async () => undefined,
  };
  const webhooks = { accept: async () => ({ isListening: false, quietMs: 1e12 }) };
  const env = {
    CATALOG: namespaceOf(catalog),
    SEARCH: namespaceOf(search),
    WEBHOOKS: namespaceOf(webhooks),
  };
  const ledger = new Ledger(ctx, env as unknown as Env, clock);
  const bytes = imageManifest(describe(content(), configType), []);
  const digest = digestOfContent(bytes, "sha256");
  const facts = readStoredManifest(bytes, imageManifestType);
  const tags = ["latest" as Tag];
  const put = { repository, digest, bytes, facts, tags, origin: registryItself, sparse: true };
  assert.deepEqual(await ledger.putManifest({ ...put, registration: clock.now() }), { ok: true });
  await settle();
  clock.nowMs += 10_000;
  await ledger.alarm();
  await settle();
  for (const each of [alarms, searched, listed]) each.length = 0;
  return { ledger, clock, sql: storage.sql, settle, digest, alarms, searched, listed };
}

test("the first use on a day has the alarm set that announces it to the search, and further ones nothing", async () => {
  const { ledger, clock, settle, digest, alarms, searched } = await ledgerAtRest();
  for (let use = 0; use < 2; use++) await ledger.recordUses([{ digest }], dayOf(clock.nowMs));
  await settle();
  assert.deepEqual(
    alarms.map((at) => at - clock.nowMs),
    [2_000],
  );
  clock.nowMs += 2_000;
  await ledger.alarm();
  assert.deepEqual(
    searched.map(({ usedDay }) => usedDay),
    [dayOf(clock.nowMs)],
  );
  alarms.length = 0;
  await ledger.recordUses([{ digest }], dayOf(clock.nowMs));
  await settle();
  assert.deepEqual(alarms, []);
});

test("the platform that a config says is announced to the search, once", async () => {
  const { ledger, clock, sql, settle, digest, alarms, searched } = await ledgerAtRest();
  const facts = [{ manifest: digest, platforms: ["linux/arm64"], createdAtMs: 5 }];
  for (let look = 0; look < 2; look++) {
    await ledger.addConfigFacts(facts);
    await settle();
    clock.nowMs += 2_000;
    await ledger.alarm();
  }
  assert.deepEqual(
    searched.map(({ platforms }) => platforms),
    [["linux/arm64"]],
  );
  assert(alarms.includes(clock.nowMs - 2_000), JSON.stringify(alarms));
  assert.deepEqual(readRows(sql, "SELECT kind FROM due WHERE kind LIKE 'announce%'"), []);
});
