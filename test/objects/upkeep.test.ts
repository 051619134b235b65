import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { fetchOnce } from "../support/client.ts";
import { content, describe, digestOf, imageIndex } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";
import { gc, rebuild, scrub, usage } from "../support/upkeep.ts";

const { registry, advance, runAlarm } = await startTimedRegistry({ vars: { UNTAGGED_TTL: "48h" } });

const status = async (path: string) => (await registry.send("HEAD", `/v2/${path}`)).status;

/** What there is, once all ledgers have said what they hold. */
async function toldUsage() {
  await advance(60_000);
  const { repositories } = (await registry.must(200, "GET", "/v2/_catalog")).json<{
    repositories: string[];
  }>();
  for (const name of repositories) await runAlarm("LEDGERS", name);
  return usage(registry);
}

/** Collects until the graces are over, one after the other; returns what was freed in all. */
async function gcToTheEnd() {
  const rounds = [];
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    rounds.push(await gc(registry));
  }
  return rounds.reduce((sum, { links, blobs, bytes, uploads, manifests }) => ({
    links: sum.links + links,
    blobs: sum.blobs + blobs,
    bytes: sum.bytes + bytes,
    uploads: sum.uploads + uploads,
    manifests: sum.manifests + manifests,
  }));
}

test("a scrub deletes keys that nobody knows, after the grace, and none of an open upload", async () => {
  const bytes = content(6 * 1024 * 1024);
  const session = uploadId(await registry.openUpload("none"));
  const kept = await registry.patch(await registry.openUpload("open"), bytes);
  await (await registry.bucket()).put("blobs/stray", content());
  await (await registry.bucket()).put(`blobs/${session}.${crypto.randomUUID()}`, content());
  assert.deepEqual((await scrub(registry)).repaired, []);
  await advance(23 * hourMs);
  await registry.patch(kept, content(1));
  await advance(2 * hourMs);
  const { repaired } = await scrub(registry);
  assert.deepEqual(
    repaired.map(({ what }) => what),
    ["orphaned object", "orphaned object"],
  );
  assert(!registry.stored.blobKeys().includes("blobs/stray"));
  await runAlarm("UPLOADS", uploadId(kept));
});

test("collection frees what nothing references, says how much, and leaves the rest", async () => {
  const kept = await registry.pushImage("kept", "v1");
  const [one, two] = [content(1000), content(500)];
  await registry.pushBlob("freed", one);
  await registry.streamBlob("freed", two);
  await registry.pushBlob("freed/too", one);
  const freed = await gcToTheEnd();
  // The bytes of `one` were stored twice.
  assert.deepEqual(freed, { manifests: 0, links: 3, blobs: 3, bytes: 2500, uploads: 0 });
  await registry.pullImage("kept", "v1", kept);
  assert.equal(registry.stored.blobKeys().length, 2);
});

test("manifests that nothing reaches go after UNTAGGED_TTL, and the others stay", async () => {
  const push = async (reference: string, more: object) => {
    const bytes = imageIndex([], { annotations: { id: crypto.randomUUID() }, ...more });
    const digest = await registry.pushManifest("policy", reference, bytes, imageIndexType);
    return { digest, descriptor: describe(bytes, imageIndexType) };
  };
  const tagged = await push("v1", {});
  const child = await push("child", {});
  await push("parent", { manifests: [child.descriptor] });
  await registry.must(202, "DELETE", "/v2/policy/manifests/child");
  const referrer = await push("referrer", { subject: tagged.descriptor });
  await registry.must(202, "DELETE", "/v2/policy/manifests/referrer");
  const orphan = await push("orphan", { subject: describe(content(), imageManifestType) });
  await registry.must(202, "DELETE", "/v2/policy/manifests/orphan");
  const renewed = await push("v1", {});
  const reaches = async (...all: { digest: string }[]) =>
    Promise.all(all.map(({ digest }) => status(`policy/manifests/${digest}`)));

  await advance(47 * hourMs);
  // A client that may push is told that it is there, and relies on it.
  await registry.must(200, "HEAD", `/v2/policy/manifests/${tagged.digest}`);
  await advance(2 * hourMs);
  assert.equal((await gc(registry)).manifests, 1);
  assert.deepEqual(await reaches(tagged, child, referrer, orphan, renewed), [200, 200, 200, 404, 200]);
  // The one that v1 was moved away from goes, and with it what only it gave somebody a way to.
  for (let round = 0; round < 2; round++) {
    await advance(49 * hourMs);
    assert.equal((await gc(registry)).manifests, 1);
  }
  assert.deepEqual(await reaches(child, referrer, orphan, renewed), [200, 404, 404, 200]);
});

test("usage counts what is stored once, and what is referenced as often as it is", async () => {
  const before = (await toldUsage()).total;
  const layer = content(10_000);
  const images = [
    await registry.pushImage("usage/a", "v1", [layer]),
    await registry.pushImage("usage/a", "v2", [layer]),
    await registry.pushImage("usage/b", "v1", [layer]),
  ];
  const { repositories, total } = await toldUsage();
  const [a, b] = ["usage/a", "usage/b"].map((name) => repositories.find((each) => each.name === name));
  const manifestBytes = images.map(({ manifest }) => manifest.byteLength);
  const [one = 0, two = 0, three = 0] = manifestBytes;
  assert.deepEqual([a?.manifests, a?.tags, a?.blobs], [2, 2, 3]);
  assert.deepEqual(a?.logical, { objects: 6, bytes: one + two + 20_200 });
  assert.deepEqual(a?.stored, { objects: 5, bytes: one + two + 10_200 });
  assert.deepEqual(b?.logical, { objects: 3, bytes: three + 10_100 });
  assert.deepEqual(total.logical.bytes - before.logical.bytes, one + two + three + 30_300);
  const waiting = total.leaving.bytes - before.leaving.bytes;
  assert.equal(total.stored.bytes - before.stored.bytes, one + two + three + 10_300);
  assert.equal(total.stored.objects - before.stored.objects, 7);
  assert.equal(waiting, 20_000, "the layer was stored thrice");

  const page = await registry.must(200, "GET", "/api/v1/usage?n=1&last=usage/a");
  const answer = page.json<{ repositories: { name: string }[]; total?: object }>();
  assert.deepEqual([answer.repositories.map(({ name }) => name), answer.total], [["usage/b"], undefined]);
  await gcToTheEnd();
});

test("a scrub of what is in order finds nothing, and has looked at everything", async () => {
  await registry.pushImage("order", "v1");
  await until("the replica", async () =>
    (await registry.replicaKeys()).some((key) => key.startsWith("tag/order")),
  );
  await scrub(registry);
  const { checked, repaired, problems } = await scrub(registry);
  assert.deepEqual([repaired, problems], [[], []]);
  const { total, repositories } = await toldUsage();
  const manifests = repositories.reduce((sum, each) => sum + each.manifests, 0);
  assert.equal(checked.manifests, manifests);
  assert.equal(checked.blobs, total.stored.objects - manifests);
});

test("a scrub goes on with a shard that takes more than one piece, and looks at every blob once", async () => {
  const before = (await scrub(registry)).checked.blobs ?? 0;
  const inShard = (shard: string) => {
    for (;;) {
      const bytes = content(12);
      if (digestOf(bytes).startsWith(`sha256:${shard}`)) return bytes;
    }
  };
  const shards = [...Array<string>(70).fill("0a"), ...Array<string>(40).fill("0b")];
  for (const bytes of shards.map(inShard)) await registry.pushBlob("shards", bytes);
  assert.equal((await scrub(registry)).checked.blobs, before + shards.length);
  await registry.must(202, "DELETE", "/api/v1/repositories/shards");
  await gcToTheEnd();
});

test("a scrub finds bytes that are lost or changed, and says which", async () => {
  const bucket = await registry.bucket();
  const before = registry.stored.blobKeys();
  const [lost, changed, shorter] = [content(), content(), content()];
  const keys: string[] = [];
  for (const bytes of [lost, changed, shorter]) {
    await registry.pushBlob("damaged", bytes);
    keys.push(...registry.stored.blobKeys().filter((key) => !before.includes(key) && !keys.includes(key)));
  }
  const [lostKey = "", changedKey = "", shorterKey = ""] = keys;
  await bucket.delete(lostKey);
  await bucket.put(changedKey, content());
  await bucket.put(shorterKey, content(50));
  const { problems } = await scrub(registry);
  const found = problems.map(({ what, digest, detail }) => `${what} ${digest}: ${detail}`).sort();
  const expected = [
    [lost, /the store does not have the bytes/],
    [changed, /the bytes are those of sha256:/],
    [shorter, /the store has 50 bytes, and should have 100/],
  ] as const;
  assert.equal(found.length, 3, found.join("\n"));
  for (const [bytes, detail] of expected) {
    assert.match(found.find((line) => line.includes(digestOf(bytes))) ?? "", detail);
  }

  // A push puts each of them right, in the repository and in those that share it.
  await registry.pushBlob("damaged/too", changed);
  for (const bytes of [lost, shorter]) await registry.pushBlob("damaged", bytes);
  const again = await scrub(registry);
  assert.deepEqual(again.problems, []);
  assert.deepEqual(
    again.repaired.map(({ what, digest }) => `${what} ${digest}`),
    [`location ${digestOf(changed)}`],
  );
  for (const bytes of [lost, changed, shorter]) {
    const pulled = await registry.must(200, "GET", `/v2/damaged/blobs/${digestOf(bytes)}`);
    assert.deepEqual(pulled.bytes, bytes);
  }
  await gcToTheEnd();
});

test("a scrub puts the replica right: rows that are gone, old or nobody's", async () => {
  const image = await registry.pushImage("replica", "v1");
  const tagKey = "tag/replica:v1";
  await until(
    "its rows",
    async () => (await registry.replicaKeys()).filter((key) => key.includes("/replica")).length === 4,
  );
  const kv = await registry.kv();
  const right = await kv.get(tagKey);
  await kv.put(tagKey, JSON.stringify({ digest: digestOf(content()), sequence: 1 }));
  await kv.delete(`manifest/replica@${image.digest}`);
  await kv.put("tag/replica:never", "{}");
  await kv.put("tag/no-repository:v1", "{}");
  const { repaired } = await scrub(registry);
  assert.deepEqual(repaired.map(({ what, repository }) => `${what} ${repository}`).sort(), [
    "orphaned replica of tag no-repository",
    "orphaned replica of tag replica",
    "replica of manifest replica",
    "replica of tag replica",
  ]);
  await runAlarm("LEDGERS", "replica");
  await until("the repair", async () => {
    const keys = await registry.replicaKeys();
    const isRight = keys.includes(`manifest/replica@${image.digest}`) && (await kv.get(tagKey)) === right;
    return isRight && !keys.includes("tag/replica:never") && !keys.includes("tag/no-repository:v1");
  });
});

test("the replica is dropped whole and written anew, while everything pulls", async () => {
  const images = await Promise.all(
    ["a", "b"].map(
      async (name) => [`rebuilt/${name}`, await registry.pushImage(`rebuilt/${name}`, "v1")] as const,
    ),
  );
  const ours = async () => (await registry.replicaKeys()).filter((key) => key.includes("/rebuilt/"));
  await until("the rows", async () => (await ours()).length === 8);
  const before = await registry.replicaKeys();
  const kv = await registry.kv();
  for (const key of before) await kv.delete(key);
  await advance(200_000);
  const { repositories } = await rebuild(registry);
  for (const [name, image] of images) await registry.pullImage(name, "v1", image);
  assert.equal(repositories, (await toldUsage()).total.repositories);
  // The alarms that have moved into the future with the clock.
  const names = (await usage(registry)).repositories.map(({ name }) => name);
  for (const name of [...names, ...names]) await runAlarm("LEDGERS", name);
  await until("the rows anew", async () => (await registry.replicaKeys()).join() === before.join());
  for (const [name, image] of images) await registry.pullImage(name, "v1", image);
});

test("a cursor of something else is refused", async () => {
  for (const path of ["gc", "scrub", "replica/rebuild"]) {
    for (const body of ['{"cursor":"elsewhere:1"}', '{"cursor":1}', '{"last":"a"}', "["]) {
      const response = await fetchOnce(`${registry.url}/api/v1/${path}`, { method: "POST", body });
      assert.equal(response.status, 400, `${path} ${body}`);
    }
  }
  expectError(await registry.get("/v2/kept/manifests/never"), 404, "MANIFEST_UNKNOWN");
});

test("keys and replica rows that nobody knows go by themselves, within SCRUB_EVERY", async () => {
  const image = await registry.pushImage("scrubbed", "v1");
  await (await registry.bucket()).put("blobs/alone", content());
  await (await registry.kv()).put(
    "tag/scrubbed:never",
    JSON.stringify({ digest: image.digest, sequence: 1 }),
  );
  await advance(31 * 24 * hourMs);
  // One alarm for the bucket, and one for the replica.
  for (let piece = 0; piece < 2; piece++) {
    await runAlarm("CATALOG", "catalog");
    await advance(hourMs);
  }
  assert(!registry.stored.blobKeys().includes("blobs/alone"));
  assert(!(await registry.replicaKeys()).includes("tag/scrubbed:never"));
  await registry.pullImage("scrubbed", "v1", image);
});
