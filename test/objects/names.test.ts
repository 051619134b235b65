/** How the index of names keeps up with the ledgers, and what writes that are refused leave behind. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import type { Machine } from "../../src/machine.ts";
import { registryItself } from "../../src/oci/event.ts";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe as descriptor,
  imageIndex,
  imageManifest,
  unknownDigest,
} from "../support/content.ts";
import { earlierData } from "../support/earlier-data.ts";
import { rowsIn } from "../support/sqlite.ts";
import { temporaryData } from "../support/temporary.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { scrub } from "../support/upkeep.ts";

const machine: Machine = { blobShards: 1, uploadPools: 4, nameIndexes: 1 };
const dataDirectory = temporaryData();
const timed = await startTimedRegistry({ dataDirectory, bucket: "disk", machine });
const { registry, advance, call, runAlarm, holdNext } = timed;

const isRegistered = (name: string) => call<boolean | null>("NAME_INDEX", "0", "has", name);
const mayBePublic = (name: string) => call<boolean | null>("NAME_INDEX", "0", "mayBePublic", name);

/** How many ledgers have tables. */
function ledgersWithTables(): number {
  const files = globSync(join(dataDirectory, "do/stowage-Repository/*.sqlite"));
  return files.filter((file) => rowsIn(file, "meta").length > 0).length;
}

/** Lets the time pass in which a deleted repository can be restored, and its object go. */
async function forget(name: string): Promise<void> {
  for (let round = 0; round < 6; round++) {
    await advance(10 * hourMs);
    await runAlarm("LEDGERS", name);
  }
}

async function deleteAndForget(name: string): Promise<void> {
  await registry.must(202, "DELETE", `/api/v1/repositories/${name}`);
  await forget(name);
}

test("a repository is registered before it is there, and its name leaves when its object goes", async () => {
  assert.equal(await isRegistered("comes/goes"), false);
  const held = await holdNext("names.register", "after");
  const pushing = registry.pushBlob("comes/goes");
  await held.hasCome();
  assert.equal(await isRegistered("comes/goes"), true);
  await registry.must(404, "GET", "/v2/comes/goes/tags/list");
  await held.letGo();
  const digest = await pushing;
  await registry.must(200, "HEAD", `/v2/comes/goes/blobs/${digest}`);
  await deleteAndForget("comes/goes");
  assert.equal(await isRegistered("comes/goes"), false);
  await registry.pushBlob("comes/goes", content());
  await registry.must(200, "GET", "/v2/comes/goes/tags/list");
});

test("a name that is registered anew while the old one leaves stays registered", async () => {
  await registry.pushBlob("stays/on");
  await registry.must(202, "DELETE", "/api/v1/repositories/stays/on");
  const removal = await holdNext("names.remove", "before");
  const leaving = forget("stays/on");
  await removal.hasCome();
  const digest = await registry.pushBlob("stays/on", content());
  await removal.letGo();
  await leaving;
  assert.equal(await isRegistered("stays/on"), true);
  await registry.must(200, "GET", `/v2/stays/on/blobs/${digest}`);
});

test("what a ledger promises while its name leaves is kept", async () => {
  await registry.pushBlob("promises/kept");
  await registry.must(202, "DELETE", "/api/v1/repositories/promises/kept");
  const removal = await holdNext("names.remove", "before");
  let hasCome = false;
  const leave = async () => {
    while (!hasCome) {
      await advance(10 * hourMs);
      await runAlarm("LEDGERS", "promises/kept");
    }
  };
  const leaving = leave();
  await removal.hasCome();
  hasCome = true;
  const digest = unknownDigest();
  const lease = { digest, lease: 7 };
  const { voided } = await call<{ voided: string[] }>("LEDGERS", "promises/kept", "holds", "promises/kept", [
    lease,
  ]);
  assert.deepEqual(voided, [digest]);
  await removal.letGo();
  await leaving;
  const adoption = { ...lease, key: "blobs/none", sizeBytes: 1, leaseUntil: 9e15 };
  const link = { repository: "promises/kept", adoption, origin: registryItself };
  assert.equal(await call("LEDGERS", "promises/kept", "linkBlob", link), "lease-ended");
});

test("a write that arrives after its ledger came and went founds none on its old registration", async () => {
  const index = imageIndex([]);
  // The first attempt registers nothing; the second one is held on its way.
  const registration = await holdNext("names.register", "after");
  const first = registry.putManifest("late/push", "v1", index, imageIndexType);
  await registration.hasCome();
  const write = await holdNext("repository.putManifest", "before");
  await registration.letGo();
  await write.hasCome();
  await registry.putManifest("late/push", "v2", index, imageIndexType);
  await deleteAndForget("late/push");
  assert.equal(await isRegistered("late/push"), false);
  await write.letGo();
  assert.equal((await first).status, 201);
  assert.equal(await isRegistered("late/push"), true, "it was registered once more");
  await registry.must(200, "GET", "/v2/late/push/manifests/v1");
});

test("a manifest whose blobs are missing leaves no name and no table, where there was no ledger", async () => {
  const before = ledgersWithTables();
  const manifest = imageManifest(descriptor(content(), configType), []);
  expectError(await registry.putManifest("refused/app", "v1", manifest), 404, "MANIFEST_BLOB_UNKNOWN");
  assert.equal(await isRegistered("refused/app"), false);
  assert.equal(ledgersWithTables(), before);
});

test("nor does a manifest that is to replace another", async () => {
  const before = ledgersWithTables();
  const refused = await registry.send("PUT", "/v2/refused/swap/manifests/v1", {
    headers: { "Content-Type": imageIndexType, "If-Match": "*" },
    body: imageIndex([]),
  });
  expectError(refused, 412, "UNSUPPORTED");
  assert.equal(await isRegistered("refused/swap"), false);
  assert.equal(ledgersWithTables(), before);
});

test("a blob that is linked too late leaves no table, where there was no ledger", async () => {
  const before = ledgersWithTables();
  const adoption = { digest: unknownDigest(), key: "blobs/x", sizeBytes: 1, lease: 1, leaseUntil: 1 };
  const registration = await call("NAME_INDEX", "0", "register", "too/late", false);
  const link = { repository: "too/late", adoption, registration, origin: registryItself };
  assert.equal(await call("LEDGERS", "too/late", "linkBlob", link), "lease-ended");
  assert.equal(ledgersWithTables(), before);
});

test("a ledger that only remembers a cancelled upload goes when that is forgotten", async () => {
  const before = ledgersWithTables();
  const location = await registry.openUpload("only/cancelled");
  await registry.must(204, "DELETE", location);
  expectError(await registry.send("GET", location), 404, "BLOB_UPLOAD_UNKNOWN");
  assert.equal(ledgersWithTables(), before + 1);
  for (let round = 0; round < 3; round++) {
    await advance(30 * hourMs);
    await runAlarm("LEDGERS", "only/cancelled");
  }
  assert.equal(ledgersWithTables(), before);
});

test("the index says who may be public, from before the repository is until after it no longer is", async () => {
  await registry.pushBlob("open/later");
  assert.equal(await mayBePublic("open/later"), false);
  const change = (visibility: string) =>
    registry.must(200, "PATCH", "/api/v1/repositories/open/later", { json: { visibility } });
  const held = await holdNext("repository.setInfo", "before");
  const opening = change("public");
  await held.hasCome();
  assert.equal(await mayBePublic("open/later"), true);
  await held.letGo();
  await opening;
  await change("private");
  await runAlarm("LEDGERS", "open/later");
  assert.equal(await mayBePublic("open/later"), false);
});

test("what was deleted is not registered as public, not even while it is being deleted", async () => {
  const open = (name: string) =>
    registry.send("PATCH", `/api/v1/repositories/${name}`, { json: { visibility: "public" } });
  for (const name of ["opened/late", "opened/meanwhile"]) await registry.pushBlob(name);
  await registry.must(202, "DELETE", "/api/v1/repositories/opened/late");
  assert.equal((await open("opened/late")).status, 404);
  assert.equal(await mayBePublic("opened/late"), false);

  const held = await holdNext("repository.setInfo", "before");
  const opening = open("opened/meanwhile");
  await held.hasCome();
  await registry.must(202, "DELETE", "/api/v1/repositories/opened/meanwhile");
  await held.letGo();
  assert.equal((await opening).status, 404);
  for (const name of ["opened/late", "opened/meanwhile"]) {
    await forget(name);
    assert.deepEqual([await isRegistered(name), await mayBePublic(name)], [false, false], name);
    // The isolate remembers the name.
    assert.equal((await open(name)).status, 404);
    assert.deepEqual([await isRegistered(name), await mayBePublic(name)], [false, false], name);
  }
});

describe("an index that does not know all names", () => {
  test("does not say that a repository does not exist, and has it once it is filled", async () => {
    await registry.pushBlob("lost/app");
    await runAlarm("LEDGERS", "lost/app");
    // As an object of the platform that was put back to an earlier moment.
    await call("NAME_INDEX", "0", "remove", "lost/app", Number.MAX_SAFE_INTEGER);
    await registry.must(200, "POST", "/api/v1/name-index/rebuild");
    await runAlarm("NAME_INDEX", "0");
    assert.equal(await isRegistered("lost/app"), true);
    assert.equal(await isRegistered("lost/other"), false);
    await registry.must(200, "GET", "/v2/lost/app/tags/list");
  });

  test("gets a name back from a scrub", async () => {
    await call("NAME_INDEX", "0", "remove", "lost/app", Number.MAX_SAFE_INTEGER);
    const { repaired } = await scrub(registry);
    assert.deepEqual(
      repaired.filter(({ what }) => what === "name").map(({ repository }) => repository),
      ["lost/app"],
    );
    assert.equal(await isRegistered("lost/app"), true);
  });

  test("says so while it is filled, and the ledger is asked", async () => {
    await call("NAME_INDEX", "0", "remove", "lost/app", Number.MAX_SAFE_INTEGER);
    await timed.failNext("catalog.repositoryNames", "before");
    await registry.must(200, "POST", "/api/v1/name-index/rebuild");
    await runAlarm("NAME_INDEX", "0");
    assert.equal(await isRegistered("lost/app"), null, "the catalog did not answer");
    await registry.must(200, "GET", "/v2/lost/app/tags/list");
    await advance(31_000);
    await runAlarm("NAME_INDEX", "0");
    assert.equal(await isRegistered("lost/app"), true);
  });
});

test("an index over data of an earlier release believes itself only when that has ended everywhere", async () => {
  const dataDirectory = earlierData("before-rereading.tar.gz");
  const shards = { ...machine, blobShards: 256 };
  const later = await startTimedRegistry({ dataDirectory, bucket: "disk", machine: shards });
  const has = (name: string) => later.call<boolean | null>("NAME_INDEX", "0", "has", name);
  assert.equal(await has("team/app"), true);
  assert.equal(await has("team/other"), null, "a ledger that was founded a moment ago may not be listed yet");
  await later.registry.must(200, "GET", "/v2/team/app/tags/list");
  await later.registry.must(404, "GET", "/v2/team/other/tags/list");
  assert.equal((await later.call<string[]>("CATALOG", "catalog", "shards")).length, 256);
  await later.advance(hourMs);
  await later.runAlarm("NAME_INDEX", "0");
  assert.equal(await has("team/other"), false);
  assert.equal(await has("team/app"), true);
  await later.registry.end();
});

test("a new registry lists shards as they get their first row", async () => {
  const later = await startTimedRegistry();
  const listed = () => later.call<string[]>("CATALOG", "catalog", "shards");
  assert.deepEqual(await listed(), []);
  const digests = [
    await later.registry.pushBlob("some/app"),
    await later.registry.streamBlob("some/app", content()),
  ];
  const shards = [...new Set(digests.map((digest) => digest.slice("sha256:".length, "sha256:".length + 2)))];
  assert.deepEqual(await listed(), shards.toSorted());
});
