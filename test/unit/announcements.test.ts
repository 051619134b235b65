/** What the catalog makes of announcements of ledgers that arrive late, or twice. */
import assert from "node:assert/strict";
import test from "node:test";
import { scheduler } from "node:timers/promises";
import type { Env } from "../../src/bindings.ts";
import { readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import type { CatalogApi } from "../../src/rpc/api.ts";
import { day, dayOf, minute } from "../../src/units.ts";
import { configType, content, describe, imageManifest } from "../support/content.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

// As in the runtime of the objects.
Object.assign(globalThis, { scheduler });

const { Catalog } = await import("../../src/objects/catalog.ts");
const { Ledger } = await import("../../src/objects/ledger.ts");

const repository = "team/app" as RepositoryName;

type Put = Parameters<CatalogApi["putRepository"]>;
type Remove = Parameters<CatalogApi["removeRepository"]>;

/** A ledger and the catalog, and the calls that the one made of the other. */
async function ledgerAndCatalog() {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const stored = memoryContext();
  const catalog = new Catalog(stored.ctx, {} as Env, clock);
  const puts: Put[] = [];
  const removals: Remove[] = [];
  const recording = {
    putRepository: (...call: Put) => {
      puts.push(call);
      return catalog.putRepository(...call);
    },
    removeRepository: (...call: Remove) => {
      removals.push(call);
      return catalog.removeRepository(...call);
    },
    addCounts: async () => {},
    policies: async () => undefined,
  };
  const names = { add: async () => 0, hide: async () => {}, remove: async () => {} };
  const webhooks = { accept: async () => ({ isListening: false, quietMs: 1e12 }) };
  const env = {
    CATALOG: namespaceOf(recording),
    NAME_INDEX: namespaceOf(names),
    WEBHOOKS: namespaceOf(webhooks),
    GC_GRACE: "1h",
  };
  const { ctx, storage, settle } = memoryContext();
  const ledger = new Ledger(ctx, env as unknown as Env, clock);
  const bytes = imageManifest(describe(content(), configType), []);
  const digest = digestOfContent(bytes, "sha256");
  const facts = readStoredManifest(bytes, imageManifestType);
  const image = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: true };
  /** Does what the ledger is asked for, and then what it has left to be done. */
  const after = async (work: Promise<unknown>) => {
    await work;
    await settle();
    clock.nowMs += minute;
    await ledger.alarm();
    await settle();
  };
  const push = () => after(ledger.putManifest({ ...image, registration: clock.now() }));
  await push();
  return {
    ...{ ledger, catalog, clock, digest, puts, removals, after, push },
    show: (visibility: "public" | "private") => after(ledger.setInfo({ visibility }, registryItself)),
    remove: () => after(ledger.deleteRepository(registryItself, undefined)),
    listed: async () =>
      (await catalog.listRepositories("", "", 10)).entries.map(({ name, visibility }) => [name, visibility]),
    versions: () => readRows(stored.storage.sql, "SELECT * FROM announcements").length,
    /** Leaves what the release before would have. */
    forgetVersions: () => {
      storage.sql.exec("DELETE FROM meta WHERE key = 'announcement'");
      stored.storage.sql.exec("DELETE FROM announcements");
    },
  };
}

test("an announcement that arrives late shows nobody a repository that has become private", async () => {
  const { catalog, puts, show, listed } = await ledgerAndCatalog();
  await show("public");
  const late = puts.at(-1);
  assert(late !== undefined);
  assert.deepEqual(await listed(), [[repository, "public"]]);
  assert.equal(await catalog.putRepository(...late), undefined, "the call may be repeated");
  await show("private");
  assert.equal(await catalog.putRepository(...late), puts.at(-1)?.[3]);
  assert.deepEqual(await listed(), [[repository, "private"]]);
});

test("an announcement that arrives late brings back no repository, and takes none away", async () => {
  const { catalog, puts, removals, push, remove, listed } = await ledgerAndCatalog();
  await remove();
  for (const late of puts) await catalog.putRepository(...late);
  assert.deepEqual(await listed(), []);
  await push();
  for (const late of removals) await catalog.removeRepository(...late);
  assert.deepEqual(await listed(), [[repository, "private"]]);
});

test("what the catalog knows of a repository that is gone it forgets a day after another is", async () => {
  const { catalog, clock, remove, versions } = await ledgerAndCatalog();
  await remove();
  const other = { name: "team/other" as RepositoryName, visibility: "private", description: "" } as const;
  await catalog.putRepository(other, undefined, false, clock.now());
  assert.equal(versions(), 2);
  clock.nowMs += 2 * day;
  await catalog.removeRepository("team/third" as RepositoryName, false, clock.now());
  assert.equal(versions(), 2, "the one that is there, and the one that has just gone");
});

test("a ledger that was put back to an earlier state is believed again once it has heard of that", async () => {
  const { catalog, clock, puts, show, listed } = await ledgerAndCatalog();
  const info = { name: repository, visibility: "public", description: "" } as const;
  const later = clock.now() + 30 * day;
  await catalog.putRepository(info, undefined, false, later);
  await show("private");
  assert.deepEqual(await listed(), [[repository, "private"]]);
  assert.equal(puts.at(-1)?.[3], later + 1);
});

test("an announcement of the release before, which has no version, is followed", async () => {
  const { catalog, puts, listed } = await ledgerAndCatalog();
  const [info, usedDay, keepsDeleted] = puts[0] ?? assert.fail();
  await catalog.putRepository({ ...info, visibility: "public" }, usedDay, keepsDeleted);
  assert.deepEqual(await listed(), [[repository, "public"]]);
  await catalog.removeRepository(repository, false);
  assert.deepEqual(await listed(), []);
});

test("a ledger in which nothing has changed since the release before announces itself with the lowest version", async () => {
  const { catalog, clock, ledger, digest, after, show, puts, listed, versions, forgetVersions } =
    await ledgerAndCatalog();
  forgetVersions();
  await after(ledger.recordUses([{ digest }], dayOf(clock.now())));
  const late = puts.at(-1) ?? assert.fail();
  assert.deepEqual([late[1], late[3], versions()], [dayOf(clock.now()), 0, 0]);
  await show("public");
  await show("private");
  await catalog.putRepository({ ...late[0], visibility: "public" }, late[1], late[2], late[3]);
  assert.deepEqual(await listed(), [[repository, "private"]]);
});
