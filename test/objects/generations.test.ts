/** Deleting a repository as a whole, pushing to its name, and undoing the deletion. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Deletion } from "../../src/contract/deleted.ts";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { expectError, expectProblem } from "../support/answer.ts";
import { fetchOnce } from "../support/client.ts";
import { content, describe, imageIndex } from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { gc, gcNow, scrub } from "../support/upkeep.ts";

const { registry, advance, alarmAt, call, collect, failNext, rereadIn, runAlarm } =
  await startTimedRegistry();

const pathOf = (name: string) => `/api/v1/repositories/${name}`;
const remove = (name: string) => registry.must(202, "DELETE", pathOf(name));

/** Restores; returns the status, and whether all is there. */
async function restore(name: string, body?: object): Promise<[status: number, isComplete?: boolean]> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetchOnce(`${registry.url}${pathOf(name)}/restore`, { method: "POST", ...init });
  const { isComplete } = (await response.json()) as { isComplete?: boolean };
  return isComplete === undefined ? [response.status] : [response.status, isComplete];
}

async function deletedIn(name: string, query = ""): Promise<Deletion[]> {
  const answer = await registry.must(200, "GET", `${pathOf(name)}/deleted${query}`);
  return answer.json<{ deleted: Deletion[] }>().deleted;
}

async function tagsOf(name: string): Promise<string[]> {
  return (await registry.must(200, "GET", `/v2/${name}/tags/list`)).json<{ tags: string[] }>().tags;
}

async function digestOfTag(name: string, tag: string): Promise<string> {
  const answer = await registry.must(200, "HEAD", `/v2/${name}/manifests/${tag}`);
  return answer.header("Docker-Content-Digest");
}

/** Lets a ledger do all that is due, and what that makes due. */
async function settle(name: string, rounds = 3): Promise<void> {
  for (let round = 0; round < rounds; round++) await runAlarm("LEDGERS", name);
}

const change = (name: string, body: object) =>
  registry.must(200, "PATCH", pathOf(name), { body: JSON.stringify(body) });

test("where nothing was deleted, that is said, and of no generation that nobody named", async () => {
  await registry.pushImage("whole", "v1");
  const path = `${pathOf("whole")}/restore`;
  const unnamed = await registry.must(404, "POST", path, { body: "{}" });
  assert.equal(expectProblem(unnamed, 404, "DELETION_UNKNOWN"), "name: whole");
  const named = await registry.must(404, "POST", path, { body: JSON.stringify({ generation: 7 }) });
  assert.equal(expectProblem(named, 404, "DELETION_UNKNOWN"), "generation: 7");
});

test("a push to the name of a deleted repository is taken at once, and finds nothing of it", async () => {
  const layer = content();
  const old = await registry.pushImage("free", "v1", [layer]);
  await change("free", { visibility: "public", description: "old" });
  await remove("free");
  expectError(await registry.get("/v2/free/tags/list"), 404, "NAME_UNKNOWN");
  const fresh = await registry.pushImage("free", "v2");
  assert.deepEqual(await tagsOf("free"), ["v2"]);
  for (const path of [
    `manifests/${old.digest}`,
    "manifests/v1",
    ...old.layers.map((each) => `blobs/${each}`),
  ])
    await registry.must(404, "GET", `/v2/free/${path}`);
  await registry.must(202, "POST", `/v2/other/blobs/uploads/?mount=${old.config}&from=free`);
  const index = imageIndex([describe(old.manifest, "application/vnd.oci.image.manifest.v1+json")]);
  const put = { headers: { "Content-Type": imageIndexType }, body: index };
  expectError(await registry.send("PUT", "/v2/free/manifests/v3", put), 404, "MANIFEST_BLOB_UNKNOWN");
  await registry.must(404, "GET", `${pathOf("free")}/tags/v1/history`);
  await settle("free");
  const info = (await registry.must(200, "GET", pathOf("free"))).json<Record<string, string>>();
  assert.deepEqual([info.visibility, info.description], ["private", ""]);
  await registry.pullImage("free", "v2", fresh);
});

test("a repository comes back as it was if nothing was pushed since", async () => {
  const one = await registry.pushImage("back", "v1");
  const two = await registry.pushImage("back", "v1");
  const index = imageIndex([describe(one.manifest, "application/vnd.oci.image.manifest.v1+json")], {
    subject: describe(two.manifest, "application/vnd.oci.image.manifest.v1+json"),
    artifactType: "application/vnd.example",
  });
  const list = await registry.pushManifest("back", "list", index, imageIndexType);
  await change("back", { visibility: "public", description: "as it was" });
  await remove("back");
  await settle("back");
  assert.deepEqual(await restore("back"), [200, true]);
  await registry.pullImage("back", "v1", two);
  await registry.pullImage("back", one.digest, one);
  assert.equal(await digestOfTag("back", "list"), list);
  const referrers = await registry.must(200, "GET", `/v2/back/referrers/${two.digest}`);
  assert(referrers.text.includes(list));
  await settle("back");
  const info = (await registry.must(200, "GET", pathOf("back"))).json<Record<string, string>>();
  assert.deepEqual([info.visibility, info.description], ["public", "as it was"]);
  // The tag goes back to what it was before the deletion.
  const back = await registry.must(200, "POST", `${pathOf("back")}/tags/v1/restore`);
  assert.equal(back.json<{ digest: string }>().digest, one.digest);
  assert.deepEqual(await deletedIn("back"), []);
  assert.deepEqual(await restore("back"), [404]);
});

test("what was pushed since the deletion stays as it is, and the rest comes back", async () => {
  const shared = content();
  const one = await registry.pushImage("both", "v1", [shared]);
  const two = await registry.pushImage("both", "v2");
  await change("both", { visibility: "public", description: "old" });
  await remove("both");
  const fresh = await registry.pushImage("both", "v1", [shared]);
  await registry.pushManifest("both", "again", fresh.manifest);
  await change("both", { description: "new" });
  assert.deepEqual(await restore("both"), [200, true]);
  assert.equal(await digestOfTag("both", "v1"), fresh.digest);
  assert.deepEqual(await tagsOf("both"), ["again", "v1", "v2"]);
  await registry.pullImage("both", one.digest, one);
  await registry.pullImage("both", "v2", two);
  await registry.pullImage("both", "v1", fresh);
  await settle("both");
  const info = (await registry.must(200, "GET", pathOf("both"))).json<Record<string, string>>();
  assert.deepEqual([info.visibility, info.description], ["private", "new"]);
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await collect(["both"], [...one.layers, ...two.layers, ...fresh.layers, one.config, two.config]);
  }
  for (const image of [one, two, fresh]) await registry.pullImage("both", image.digest, image);
});

test("the bytes of a deleted repository stay for the grace, and go after it with all that is left", async () => {
  const before = registry.stored.blobKeys();
  const image = await registry.pushImage("late", "v1");
  const digests = [image.config, ...image.layers];
  const added = registry.stored.blobKeys().filter((key) => !before.includes(key));
  await remove("late");
  for (let hours = 0; hours < 20; hours += 4) {
    await collect(["late"], digests);
    await advance(4 * hourMs);
  }
  assert.deepEqual(
    added.filter((key) => !registry.stored.blobKeys().includes(key)),
    [],
  );
  assert.deepEqual(await scrub(registry).then(({ repaired }) => repaired), [], "no holder is stray");
  for (let round = 0; round < 4; round++) {
    await advance(13 * hourMs);
    await collect(["late"], digests);
  }
  assert.deepEqual(
    added.filter((key) => registry.stored.blobKeys().includes(key)),
    [],
  );
  assert.deepEqual(await restore("late"), [404]);
  await settle("late");
  assert.equal(await alarmAt("late"), null, "the object is gone");
  assert(!(await registry.replicaKeys()).some((key) => key.includes("/late")));
  const ledgers = await call<{ entries: string[] }>("CATALOG", "catalog", "listLedgers", "", 1000);
  assert(!ledgers.entries.includes("late"));
});

test("blobs that the next repository has as well are not given up when the old one goes", async () => {
  const layer = content();
  await registry.pushImage("heir", "v1", [layer]);
  await remove("heir");
  const fresh = await registry.pushImage("heir", "v1", [layer]);
  for (let round = 0; round < 4; round++) {
    await advance(25 * hourMs);
    await collect(["heir"], [fresh.config, ...fresh.layers]);
  }
  await registry.pullImage("heir", "v1", fresh);
  assert.deepEqual(await restore("heir"), [404]);
  assert.deepEqual((await scrub(registry)).repaired, []);
});

test("an administrator ends the grace of deleted repositories, too", async () => {
  const before = registry.stored.blobKeys();
  await registry.pushImage("ended", "v1");
  await remove("ended");
  await advance(10 * 60_000);
  await gcNow(registry);
  await gcNow(registry);
  assert.deepEqual(
    registry.stored.blobKeys().filter((key) => !before.includes(key)),
    [],
  );
  assert.deepEqual(await restore("ended"), [404]);
});

test("a repository that was deleted several times comes back as it was in any of them", async () => {
  const images = [];
  for (let round = 1; round <= 3; round++) {
    images.push(await registry.pushImage("thrice", `v${round}`));
    await remove("thrice");
  }
  const listed = await deletedIn("thrice");
  assert.deepEqual(
    listed.map((each) => each.what === "repository" && each.generation),
    [3, 2, 1],
  );
  assert.deepEqual(await restore("thrice"), [200, true]);
  assert.deepEqual(await tagsOf("thrice"), ["v3"]);
  // As if the first answer had been lost.
  assert.deepEqual(await restore("thrice"), [404]);
  assert.deepEqual(await restore("thrice", { generation: 1 }), [200, true]);
  assert.deepEqual(await tagsOf("thrice"), ["v1", "v3"]);
  assert.deepEqual(await restore("thrice", { generation: 7 }), [404]);
  assert.deepEqual(await restore("thrice", { generation: 0 }), [400]);
});

test("an answer says which deletion it is, until when it can be undone, and what cannot be any more", async () => {
  for (let round = 1; round <= 12; round++) {
    await registry.pushBlob("often", content());
    const deleted = (await remove("often")).json<{ generation: number; until: string; lost: number[] }>();
    assert.deepEqual([deleted.generation, deleted.lost], [round, []]);
    assert(Date.parse(deleted.until) > Date.now());
  }
  await settle("often");
  assert.deepEqual(
    (await deletedIn("often")).map((each) => each.what === "repository" && each.generation),
    Array.from({ length: 12 }, (_, at) => 12 - at),
  );
});

test("what was deleted is listed: what, by whom, when and until when", async () => {
  const [one, two] = [await registry.pushImage("listed", "v1"), await registry.pushImage("listed", "v2")];
  await registry.pushManifest("listed", "v3", two.manifest);
  await registry.must(202, "DELETE", `/v2/listed/manifests/${one.digest}`);
  await registry.must(202, "DELETE", "/v2/listed/manifests/v3");
  const listed = await deletedIn("listed");
  const shown = listed.map(({ deletedAt, until, ...rest }) => ({
    ...rest,
    hours: Math.round((Date.parse(until) - Date.parse(deletedAt)) / hourMs),
  }));
  const size = one.manifest.byteLength;
  assert.deepEqual(shown, [
    { what: "manifest", digest: one.digest, size, tags: ["v1"], actor: "anonymous", hours: 24 },
    { what: "tag", tag: "v3", digest: two.digest, actor: "anonymous", hours: 90 * 24 },
  ]);
  assert.deepEqual(await deletedIn("listed", "?n=1"), listed.slice(0, 1));
  const first = await registry.must(200, "GET", `${pathOf("listed")}/deleted?n=1`);
  const [, next = ""] = /<(.*)>/.exec(first.header("Link")) ?? [];
  assert.deepEqual(
    (await registry.must(200, "GET", next)).json<{ deleted: Deletion[] }>().deleted,
    listed.slice(1),
  );
  await remove("listed");
  assert.deepEqual(
    (await deletedIn("listed")).map(({ what }) => what),
    ["repository"],
  );
  await settle("listed");
  const all = await registry.must(200, "GET", "/api/v1/deleted?n=500");
  const { repositories } = all.json<{ repositories: { name: string; deleted: Deletion[] }[] }>();
  assert.deepEqual(repositories.find(({ name }) => name === "listed")?.deleted, await deletedIn("listed"));
  assert.deepEqual(await deletedIn("nowhere"), []);
});

test("a manifest that was deleted in the new repository, and comes back with the old one, stays", async () => {
  const index = imageIndex([]);
  const digest = await registry.pushManifest("stays", "v1", index, imageIndexType);
  await remove("stays");
  await registry.pushManifest("stays", "v1", index, imageIndexType);
  await registry.must(202, "DELETE", `/v2/stays/manifests/${digest}`);
  assert.deepEqual(await restore("stays"), [200, true]);
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await settle("stays");
  }
  assert.deepEqual((await registry.must(200, "GET", "/v2/stays/manifests/v1")).bytes, index);
});

/** Pushes so many manifests without anything in them, each under its tag. */
async function pushMany(name: string, count: number): Promise<string[]> {
  const digests: string[] = [];
  for (let start = 0; start < count; start += 20) {
    const pushes = Array.from({ length: Math.min(20, count - start) }, (_, index) => {
      const index64 = imageIndex([], { annotations: { number: String(start + index) } });
      return registry.pushManifest(name, `tag-${start + index}`, index64, imageIndexType);
    });
    digests.push(...(await Promise.all(pushes)));
  }
  return digests;
}

test("a larger repository comes back in batches, and a deletion in between loses nothing of it", async () => {
  const count = 450;
  const digests = await pushMany("large", count);
  await remove("large");
  await registry.pushImage("large", "tag-3");
  assert.deepEqual(await restore("large"), [200, false]);
  assert.equal((await deletedIn("large")).length, 1, "it is listed until all of it is there");
  assert.deepEqual(await restore("large"), [200, false], "it goes on");
  // What is there so far is deleted, too.
  await remove("large");
  await settle("large");
  assert.deepEqual(
    (await deletedIn("large")).map((each) => each.what === "repository" && each.generation),
    [2, 1],
  );
  assert.deepEqual(await restore("large", { generation: 1 }), [200, false]);
  await settle("large");
  assert.equal((await tagsOf("large")).length, count);
  for (const digest of [digests[0], digests.at(-1)]) {
    await registry.must(200, "GET", `/v2/large/manifests/${digest}`);
  }
  assert.deepEqual(
    (await deletedIn("large")).map((each) => each.what === "repository" && each.generation),
    [2],
  );
  await settle("large");
  const { problems } = await scrub(registry);
  assert.deepEqual(problems, []);
});

test("a restoration that is under way is not ended by a collection without grace", async () => {
  const count = 450;
  await pushMany("urgent", count);
  await remove("urgent");
  assert.deepEqual(await restore("urgent"), [200, false]);
  await gcNow(registry);
  await settle("urgent");
  assert.equal((await tagsOf("urgent")).length, count);
});

test("a deletion that the catalog does not hear of at once is told later", async () => {
  await registry.pushImage("unheard", "v1");
  await settle("unheard");
  await failNext("catalog.removeRepository", "before");
  await remove("unheard");
  await settle("unheard");
  await advance(60_000);
  await settle("unheard");
  const ledgers = await call<{ entries: string[] }>("CATALOG", "catalog", "listLedgers", "", 1000);
  assert(ledgers.entries.includes("unheard"));
  const { repositories } = (await registry.must(200, "GET", "/v2/_catalog?n=10000")).json<{
    repositories: string[];
  }>();
  assert(!repositories.includes("unheard"));
  await gc(registry);
});

test("manifests that were not read again after an upgrade are so once they are restored", async () => {
  const image = await registry.pushImage("unread", "v1");
  await rereadIn("unread", hourMs);
  await remove("unread");
  assert.deepEqual(await restore("unread"), [200, true]);
  // Until they were read again, nothing is known to be unreferenced.
  const spare = await registry.pushBlob("unread", content());
  expectError(await registry.send("DELETE", `/v2/unread/blobs/${spare}`), 503, "UNAVAILABLE");
  await settle("unread");
  await registry.must(202, "DELETE", `/v2/unread/blobs/${spare}`);
  await registry.pullImage("unread", "v1", image);
});
