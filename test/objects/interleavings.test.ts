/** What happens while one object waits for another's answer, and what an answer that comes late or never does then. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Answer } from "../support/answer.ts";
import type { PushedImage } from "../support/client.ts";
import { content, encode } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { gc } from "../support/upkeep.ts";

// What a scrub would put right is to be right without one.
const { registry, advance, runAlarm, alarmAt, failNext, holdNext, collect } = await startTimedRegistry({
  vars: { SCRUB_EVERY: "never", UPLOAD_TTL: "300s" },
});
const atTheEdge = await startTimedRegistry({ vars: { TAG_READS: "edge" } });

type Info = { name: string; visibility: string; description: string };

const describeAs = (name: string, change: Partial<Info>): Promise<Answer> =>
  registry.send("PATCH", `/api/v1/repositories/${name}`, { body: encode(change) });

/** What the catalog says of a repository. */
async function listed(name: string): Promise<Info | undefined> {
  const answer = await registry.must(200, "GET", `/api/v1/repositories?query=${name}`);
  return answer.json<{ repositories: Info[] }>().repositories[0];
}

/** Lets what is under way get as far as it can: nothing tells that it waits for a held call. */
async function getOn(): Promise<void> {
  for (let round = 0; round < 20; round++) await listed("nothing");
}

/** Does all that a ledger has to do, and what it put off. */
async function settle(name: string): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await advance(hourMs);
    await runAlarm("LEDGERS", name);
  }
}

async function pushQuietly(name: string): Promise<PushedImage> {
  const image = await registry.pushImage(name, "v1");
  await runAlarm("LEDGERS", name);
  return image;
}

test("a repository that becomes private while the catalog hears of public is listed as private", async () => {
  await pushQuietly("drift");
  const held = await holdNext("catalog.putRepository", "after");
  const opening = describeAs("drift", { visibility: "public" });
  await held.hasCome();
  // The request's word of the next change is lost, and so is that of the alarm which comes at once.
  for (let call = 0; call < 2; call++) await failNext("catalog.putRepository", "before");
  const closing = describeAs("drift", { visibility: "private" });
  await getOn();
  await held.letGo();
  await Promise.all([opening, closing]);
  await settle("drift");
  assert.equal((await listed("drift"))?.visibility, "private");
});

test("a change of a repository that the catalog does not hear of at once is done, and noted", async () => {
  await pushQuietly("opened");
  await failNext("catalog.putRepository", "before");
  const changed = await describeAs("opened", { visibility: "public" });
  assert.deepEqual([changed.status, changed.json<Info>().visibility], [200, "public"], changed.text);
  await until("an entry of the audit log", async () => {
    const { entries } = (await registry.must(200, "GET", "/api/v1/audit")).json<{
      entries: { action: string; target: string }[];
    }>();
    return entries.some(({ action, target }) => action === "repository.change" && target === "opened");
  });
  await settle("opened");
  assert.equal((await listed("opened"))?.visibility, "public");
});

test("of two changes of a repository at once the catalog ends with the later one", async () => {
  await pushQuietly("order");
  const held = await holdNext("catalog.putRepository", "before");
  const opening = describeAs("order", { visibility: "public" });
  await held.hasCome();
  const closing = describeAs("order", { visibility: "private" });
  await getOn();
  await held.letGo();
  await Promise.all([opening, closing]);
  await settle("order");
  assert.equal((await listed("order"))?.visibility, "private");
});

test("a repository that is deleted while the catalog hears of its first push is not listed", async () => {
  const held = await holdNext("catalog.putRepository", "before");
  await registry.pushImage("ghost", "v1");
  await held.hasCome();
  await registry.must(202, "DELETE", "/api/v1/repositories/ghost");
  const forgetting = runAlarm("LEDGERS", "ghost");
  await getOn();
  await held.letGo();
  await forgetting;
  await settle("ghost");
  assert.equal(await listed("ghost"), undefined);
});

test("a repository that is described while the catalog hears of its first push is listed so", async () => {
  const held = await holdNext("catalog.putRepository", "before");
  await registry.pushBlob("founded", content());
  await held.hasCome();
  const described = describeAs("founded", { description: "hello" });
  await getOn();
  await held.letGo();
  await described;
  await settle("founded");
  assert.equal((await listed("founded"))?.description, "hello");
});

test("a push whose answer is lost does not move a tag back that another client moved meanwhile", async () => {
  const [one, two] = [await registry.pushImage("retried", "one"), await registry.pushImage("retried", "two")];
  const latest = async () => {
    const head = await registry.must(200, "HEAD", "/v2/retried/manifests/latest");
    return head.header("Docker-Content-Digest");
  };
  const held = await holdNext("repository.putManifest", "after");
  const first = registry.putManifest("retried", "latest", one.manifest);
  await held.hasCome();
  assert.equal(await latest(), one.digest);
  await registry.pushManifest("retried", "latest", two.manifest);
  await held.lose();
  const { status } = await first;
  assert.equal(await latest(), two.digest);
  assert.equal(status, 503, "whoever pushed it may do so again");
});

test("a change whose answer is lost does not undo one that was made meanwhile", async () => {
  await registry.pushImage("again", "v1");
  const held = await holdNext("repository.setInfo", "after");
  const opening = describeAs("again", { visibility: "public" });
  await held.hasCome();
  assert.equal((await describeAs("again", { visibility: "private" })).status, 200);
  await held.lose();
  const { status } = await opening;
  await settle("again");
  assert.equal((await listed("again"))?.visibility, "private");
  assert.equal(status, 503, "whoever asked for it may do so again");
});

test("a blob that is deleted while its shard hears that it is held goes in the end", async () => {
  const before = registry.stored.blobKeys();
  const digest = await registry.pushBlob("held", content());
  const keys = registry.stored.blobKeys().filter((key) => !before.includes(key));
  assert.equal(keys.length, 1);
  // The lease has ended, and leases are asked about once an hour: the ledger has linked the blob.
  await advance(2 * hourMs);
  const held = await holdNext("repository.holds", "after");
  const asking = runAlarm("BLOB_SHARDS", digest.slice("sha256:".length).slice(0, 2));
  await held.hasCome();
  await registry.must(202, "DELETE", `/v2/held/blobs/${digest}`);
  await runAlarm("LEDGERS", "held");
  await held.letGo();
  await asking;
  // The run that asked has gone on to what came meanwhile: the bytes go an hour after it.
  await advance(hourMs);
  await collect([], [digest]);
  assert(!registry.stored.blobKeys().some((key) => keys.includes(key)));
});

test("a repository that is made anew in the object of a deleted one has an alarm", async () => {
  // What was due last in the deleted one is to forget the session of its push, after UPLOAD_TTL.
  await registry.pushBlob("anew", content());
  // No write to found it anew, on the registration of this one, is under way any more.
  await advance(hourMs / 4);
  await registry.must(202, "DELETE", "/api/v1/repositories/anew");
  for (let round = 0; round < 3; round++) {
    await advance(30 * hourMs);
    await runAlarm("LEDGERS", "anew");
  }
  assert.equal(await alarmAt("anew"), null, "there is nothing left in it");
  await advance(200_000);
  await registry.pushBlob("anew", content());
  assert.notEqual(await alarmAt("anew"), null);
});

test("a tag of a repository that is made anew is not that of the deleted one, wherever it is read", async () => {
  const { registry } = atTheEdge;
  for (let move = 0; move < 2; move++) await registry.pushImage("remade", "latest");
  const old = await registry.pushImage("remade", "latest");
  await atTheEdge.runAlarm("LEDGERS", "remade");
  const seen = await registry.must(200, "GET", "/v2/remade/manifests/latest");
  assert.equal(seen.header("Docker-Content-Digest"), old.digest);
  const mountOld = async (to: string, from: string) => {
    for (const digest of [old.config, ...old.layers]) {
      await registry.must(201, "POST", `/v2/${to}/blobs/uploads/?mount=${digest}&from=${from}`);
    }
  };
  await mountOld("kept", "remade");
  await registry.must(202, "DELETE", "/api/v1/repositories/remade");
  for (let round = 0; round < 4; round++) {
    await atTheEdge.advance(130_000);
    await atTheEdge.runAlarm("LEDGERS", "remade");
  }
  // The new one has the old image too, under another tag.
  const fresh = await registry.pushImage("remade", "latest");
  await mountOld("remade", "kept");
  await registry.pushManifest("remade", "old", old.manifest);
  await atTheEdge.advance(hourMs);
  await atTheEdge.runAlarm("LEDGERS", "remade");
  const read = await registry.must(200, "GET", "/v2/remade/manifests/latest");
  assert.equal(read.header("Docker-Content-Digest"), fresh.digest);
});

test("a client that is told that a repository is gone finds nothing in it, though its deletion was lost", async () => {
  const { digest } = await registry.pushImage("lost", "v1");
  const path = `/v2/lost/manifests/${digest}`;
  await registry.must(200, "GET", path);
  await until("the replica", async () => (await registry.replicaKeys()).includes(`manifest/lost@${digest}`));
  await failNext("repository.deleteRepository", "after");
  // KV takes the deletions of its four rows late.
  for (let row = 0; row < 4; row++) await failNext("replica.delete", "before");
  await registry.must(503, "DELETE", "/api/v1/repositories/lost");
  await registry.must(404, "DELETE", "/api/v1/repositories/lost");
  await registry.must(404, "GET", path);
});

test("a collection that comes to a repository on its way out goes on", async () => {
  // By its name the first that a collection comes to.
  await registry.pushBlob("a-goner", content());
  await advance(2000);
  await runAlarm("LEDGERS", "a-goner");
  const held = await holdNext("catalog.removeRepository", "before");
  await registry.must(202, "DELETE", "/api/v1/repositories/a-goner");
  // Whatever else is to be done before it goes is done with that.
  await advance(2000);
  const forgetting = runAlarm("LEDGERS", "a-goner");
  await held.hasCome();
  const collecting = gc(registry);
  await getOn();
  await held.letGo();
  await Promise.all([forgetting, collecting]);
});
