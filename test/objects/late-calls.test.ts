/** Calls between objects that arrive late or twice, and answers that do. What was acknowledged stays. */
import assert from "node:assert/strict";
import test from "node:test";
import { content, digestOf } from "../support/content.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";
import { scrub } from "../support/upkeep.ts";

const { registry, advance, runAlarm, alarmAt, holdNext, failNext, setUnreadable, call, collect } =
  await startTimedRegistry({
    vars: { SCRUB_EVERY: "never" },
  });
const minuteMs = 60_000;
// Ahead of the real clock: from now on no alarm runs by itself.
await advance(hourMs);
const shardOf = (digest: string) => digest.slice("sha256:".length).slice(0, 2);

/** Does all that can become due, in rounds: each grace is over before the next one begins. */
async function collectAll(repository: string, digest: string): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await advance(25 * hourMs);
    await collect([repository], [digest]);
  }
}

/** Keys of the bucket that are not among those before. */
const newKeys = (before: string[]) => registry.stored.blobKeys().filter((key) => !before.includes(key));

async function pushLayer(repository: string): Promise<{ bytes: Uint8Array; digest: string }> {
  const bytes = content();
  return { bytes, digest: await registry.pushBlob(repository, bytes) };
}

/** An image of one layer, which is there already. */
function manifestOf(config: Uint8Array, layer: Uint8Array) {
  const describe = (bytes: Uint8Array, mediaType: string) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.byteLength,
  });
  return new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: describe(config, "application/vnd.oci.image.config.v1+json"),
      layers: [describe(layer, "application/vnd.oci.image.layer.v1.tar")],
    }),
  );
}

test("a ledger's no that is delivered after a link was made takes nothing away", async () => {
  const { bytes, digest } = await pushLayer("late/no");
  // It was unlinked, and the shard has not heard of it.
  await registry.must(202, "DELETE", `/v2/late/no/blobs/${digest}`);
  await advance(2 * minuteMs);
  // The client pushes it again; the shard lends, and the link is on its way.
  const link = await holdNext("repository.linkBlob", "before");
  const pushing = registry.pushBlob("late/no", bytes);
  await link.hasCome();
  // Now the shard hears of the unlinking. If it asks, it is told "no", but does not hear it yet.
  const no = await holdNext("repository.holds", "after");
  await runAlarm("LEDGERS", "late/no");
  const asking = runAlarm("BLOB_SHARDS", shardOf(digest));
  await Promise.race([no.hasCome().catch(() => {}), asking]);
  await link.letGo();
  await pushing;
  const config = content();
  await registry.pushBlob("late/no", config);
  await registry.pushManifest("late/no", "v1", manifestOf(config, bytes));
  await advance(2 * minuteMs);
  await no.letGo();
  await asking;
  await collectAll("late/no", digest);
  const pulled = await registry.must(200, "GET", `/v2/late/no/blobs/${digest}`);
  assert.deepEqual(pulled.bytes, bytes);
});

/** Links on a lease that no clock has ended. */
function linkOn(repository: string, digest: string, lease: number, leaseUntil = 9e15): Promise<string> {
  const adoption = { digest, key: "blobs/none", sizeBytes: 1, lease, leaseUntil };
  const origin = { requestId: "r", actor: "a", address: "b", method: "PUT", host: "h", userAgent: "u" };
  return call("LEDGERS", repository, "linkBlob", { repository, adoption, origin });
}

test("on a lease of which a ledger said no it links nothing, whatever the time", async () => {
  const { digest } = await pushLayer("gone");
  await registry.must(202, "DELETE", `/v2/gone/blobs/${digest}`);
  const other = await pushLayer("gone");
  for (const name of ["gone", "never"]) {
    const asked = [
      { digest, lease: 7 },
      { digest: other.digest, lease: 7 },
    ];
    const { voided } = await call<{ voided: string[] }>("LEDGERS", name, "holds", name, asked);
    assert.deepEqual(voided, name === "gone" ? [digest] : [digest, other.digest]);
  }
  await registry.must(202, "DELETE", "/api/v1/repositories/gone");
  for (let round = 0; round < 3; round++) {
    await advance(3 * minuteMs);
    await runAlarm("LEDGERS", "gone");
  }
  for (const name of ["gone", "never"]) {
    assert.equal(await linkOn(name, digest, 7), "lease-ended");
    assert.equal(await linkOn(name, digest, 6), "lease-ended");
    assert.equal(await linkOn(name, digest, 8), "linked");
  }
});

test("a ledger that only remembers what it said no to forgets it, and goes", async () => {
  const digest = digestOf(content());
  await call("LEDGERS", "forgetful", "holds", "forgetful", [{ digest, lease: 7 }]);
  assert.notEqual(await alarmAt("forgetful"), null);
  await advance(2 * hourMs);
  await runAlarm("LEDGERS", "forgetful");
  assert.equal(await alarmAt("forgetful"), null);
  assert.equal(await linkOn("forgetful", digest, 7), "linked");
});

test("on a lease that has ended it links nothing, though it has forgotten what it said no to", async () => {
  const { digest } = await pushLayer("ended");
  await registry.must(202, "DELETE", `/v2/ended/blobs/${digest}`);
  const ended = Date.now() + minuteMs;
  await call("LEDGERS", "ended", "holds", "ended", [{ digest, lease: 7 }]);
  for (let round = 0; round < 2; round++) {
    await advance(2 * hourMs);
    await runAlarm("LEDGERS", "ended");
  }
  assert.equal(await linkOn("ended", digest, 7, ended), "lease-ended");
  assert.equal(await linkOn("ended", digest, 8), "linked");
});

test("a lease after a dropped holder has a higher number than all before it", async () => {
  const { bytes, digest } = await pushLayer("numbers");
  const lease = () =>
    call<{ lease: number }>("BLOB_SHARDS", shardOf(digest), "lease", digest, "numbers").then(
      (it) => it.lease,
    );
  let last = await lease();
  for (let round = 0; round < 3; round++) {
    await registry.send("DELETE", `/v2/numbers/blobs/${digest}`);
    await advance(2 * minuteMs);
    await collect(["numbers"], [digest]);
    assert.equal(await call("BLOB_SHARDS", shardOf(digest), "mountSource", digest, [["**"]], "other"), null);
    await registry.pushBlob("numbers", bytes);
    const next = await lease();
    assert(next > last, `${next} after ${last}`);
    last = next;
  }
});

for (const { title, isGivenUp } of [
  {
    title: "a doom that comes when its key was adopted takes nothing away that is in use",
    isGivenUp: false,
  },
  {
    title: "a doom that comes when its key was adopted and given up takes nothing away that is in use",
    isGivenUp: true,
  },
]) {
  test(title, async () => {
    const before = registry.stored.blobKeys();
    const { bytes, digest } = await pushLayer("doomed");
    if (isGivenUp) await registry.must(202, "DELETE", `/v2/doomed/blobs/${digest}`);
    const [key] = newKeys(before);
    await call("BLOB_SHARDS", shardOf(digest), "doom", digest, key, 1);
    await runAlarm("BLOB_SHARDS", shardOf(digest));
    // What is there is not pushed again, as that would replace what was taken.
    if (isGivenUp) await registry.pushBlob("doomed", bytes);
    const config = content();
    await registry.pushBlob("doomed", config);
    await registry.pushManifest("doomed", "v1", manifestOf(config, bytes));
    await collectAll("doomed", digest);
    assert.deepEqual((await registry.must(200, "GET", `/v2/doomed/blobs/${digest}`)).bytes, bytes);
  });
}

test("bytes whose adoption is delivered a second time stay the content of their digest", async () => {
  const before = registry.stored.blobKeys();
  const { bytes, digest } = await pushLayer("twice");
  const [key] = newKeys(before);
  const blob = { digest, key, sizeBytes: bytes.byteLength };
  const again = await call<{ ok: boolean }>("BLOB_SHARDS", shardOf(digest), "adopt", blob, "twice");
  assert(again.ok);
  await registry.must(201, "POST", `/v2/mounting/blobs/uploads/?mount=${digest}&from=twice`);
  await runAlarm("BLOB_SHARDS", shardOf(digest));
  assert.deepEqual(newKeys(before), [key]);
  assert.deepEqual((await registry.must(200, "GET", `/v2/twice/blobs/${digest}`)).bytes, bytes);
});

test("of two pushes of a digest at once, the one that is adopted last takes no bytes away from the other", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const looking = await holdNext("head", "after");
  const pushing = registry.pushBlob("at-once/slow", bytes);
  await looking.hasCome();
  const digest = await registry.pushBlob("at-once/fast", bytes);
  await looking.letGo();
  await pushing;
  await advance(2 * hourMs);
  await collect(["at-once/slow", "at-once/fast"], [digest]);
  const keys = newKeys(before);
  assert.equal(keys.length, 1);
  for (const name of ["at-once/slow", "at-once/fast"]) {
    const linked = await call<{ key: string }>("LEDGERS", name, "locateBlob", digest, false);
    assert.deepEqual([linked.key], keys, name);
  }
});

test("an adoption that is delivered again deletes nothing that is deleted already", async () => {
  const { bytes, digest } = await pushLayer("spare");
  const other = "blobs/00000000-0000-4000-8000-000000000000";
  const blob = { digest, key: other, sizeBytes: bytes.byteLength };
  const adopt = () => call("BLOB_SHARDS", shardOf(digest), "adopt", blob, "spare");
  const leaving = async () => {
    const usage = await call<{ leaving: object }>("BLOB_SHARDS", shardOf(digest), "usage");
    return usage.leaving;
  };
  await adopt();
  assert.deepEqual(await leaving(), { objects: 1, bytes: bytes.byteLength });
  await collect([], [digest]);
  await adopt();
  assert.deepEqual(await leaving(), { objects: 0, bytes: 0 });
});

test("bytes that are not stored, or not all of them, are not adopted", async () => {
  const before = registry.stored.blobKeys();
  const { bytes, digest } = await pushLayer("stored");
  const [key] = newKeys(before);
  const other = digestOf(content());
  const sizeBytes = bytes.byteLength;
  for (const blob of [
    { digest: other, key: "blobs/00000000-0000-4000-8000-000000000001", sizeBytes },
    { digest: other, key, sizeBytes: sizeBytes + 1 },
  ]) {
    const adopted = await call("BLOB_SHARDS", shardOf(other), "adopt", blob, "stored");
    assert.deepEqual(adopted, { ok: false, reason: "missing" });
  }
  assert.equal(await call("BLOB_SHARDS", shardOf(other), "locate", other), null);
  assert.deepEqual((await registry.must(200, "GET", `/v2/stored/blobs/${digest}`)).bytes, bytes);
});

test("bytes that a push replaces, as nobody held them, stay for a while for who still reads them", async () => {
  const before = registry.stored.blobKeys();
  const { bytes, digest } = await pushLayer("replaced");
  await registry.must(202, "DELETE", `/v2/replaced/blobs/${digest}`);
  await advance(2 * minuteMs);
  await collect(["replaced"], [digest]);
  await registry.pushBlob("replaced", bytes);
  await collect(["replaced"], [digest]);
  assert.equal(newKeys(before).length, 2);
  await advance(2 * hourMs);
  await collect(["replaced"], [digest]);
  assert.equal(newKeys(before).length, 1);
});

test("a mount that takes long lends no bytes that were given up meanwhile", async () => {
  const { digest } = await pushLayer("leaving");
  const looking = await holdNext("head", "after");
  const mounting = registry.send("POST", `/v2/late-mount/blobs/uploads/?mount=${digest}&from=leaving`);
  await looking.hasCome();
  await registry.must(202, "DELETE", `/v2/leaving/blobs/${digest}`);
  for (let round = 0; round < 2; round++) {
    await advance(2 * hourMs);
    await collect(["leaving"], [digest]);
  }
  await looking.letGo();
  assert.equal((await mounting).status, 202);
  await registry.must(404, "HEAD", `/v2/late-mount/blobs/${digest}`);
});

test("word of another location links nothing that the repository has unlinked", async () => {
  const { bytes, digest } = await pushLayer("moved");
  await registry.must(202, "DELETE", `/v2/moved/blobs/${digest}`);
  const location = { digest, key: "blobs/elsewhere", sizeBytes: bytes.byteLength };
  await call("LEDGERS", "moved", "relocateBlob", location);
  assert.equal(await call("LEDGERS", "moved", "locateBlob", digest, false), null);
});

test("a tombstone that is doomed again is deleted when it was to be, and not adopted", async () => {
  const before = registry.stored.blobKeys();
  const { bytes, digest } = await pushLayer("tomb");
  const [key] = newKeys(before);
  await registry.must(202, "DELETE", `/v2/tomb/blobs/${digest}`);
  await advance(2 * minuteMs);
  await collect(["tomb"], [digest]);
  await advance(2 * hourMs);
  await failNext("delete", "before");
  await collect(["tomb"], [digest]);
  await call("BLOB_SHARDS", shardOf(digest), "doom", digest, key, 9e15);
  const blob = { digest, key, sizeBytes: bytes.byteLength };
  const adopted = await call("BLOB_SHARDS", shardOf(digest), "adopt", blob, "tomb");
  assert.deepEqual(adopted, { ok: false, reason: "tombstoned" });
  await advance(hourMs);
  await collect(["tomb"], [digest]);
  assert.deepEqual(newKeys(before), []);
});

for (const [how, push] of Object.entries({
  whole: (bytes: Uint8Array) => registry.pushBlob("slow", bytes),
  streamed: (bytes: Uint8Array) => registry.streamBlob("slow", bytes),
})) {
  for (const hasOther of [false, true]) {
    const what = hasOther ? "of a digest that had bytes already, which nobody else holds any more," : "";
    test(`a push, ${how}, ${what} whose linking outlasts the lease ends well`, async () => {
      const bytes = content();
      const digest = digestOf(bytes);
      if (hasOther) await registry.pushBlob("quick", bytes);
      const link = await holdNext("repository.linkBlob", "before");
      const pushing = push(bytes);
      await link.hasCome();
      if (hasOther) await registry.must(202, "DELETE", `/v2/quick/blobs/${digest}`);
      await advance(2 * hourMs);
      await collect(["quick", "slow"], [digest]);
      assert.equal(
        await call("BLOB_SHARDS", shardOf(digest), "mountSource", digest, [["**"]], "other"),
        null,
      );
      await link.letGo();
      assert.equal(await pushing, digest);
      assert.deepEqual((await registry.must(200, "GET", `/v2/slow/blobs/${digest}`)).bytes, bytes);
      await registry.must(202, "DELETE", `/v2/slow/blobs/${digest}`);
      await collectAll("slow", digest);
    });
  }
}

test("an upload that was given up leaves nothing, though its closing put lands afterwards", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const location = await registry.patch(await registry.openUpload("landing"), bytes);
  await failNext("put", "after");
  const closed = await registry.send("PUT", `${location}?digest=${digestOf(bytes)}`);
  assert.equal(closed.status, 503);
  const [key = ""] = newKeys(before);
  await registry.must(204, "DELETE", location);
  assert.deepEqual(newKeys(before), []);
  await (await registry.bucket()).put(key, bytes);
  await advance(25 * hourMs);
  await failNext("delete", "before");
  await runAlarm("UPLOADS", uploadId(location));
  await advance(hourMs);
  await runAlarm("UPLOADS", uploadId(location));
  assert.deepEqual(newKeys(before), []);
});

test("an upload that was finished deletes nothing when it is forgotten", async () => {
  const bytes = content();
  const location = await registry.patch(await registry.openUpload("finished"), bytes);
  await registry.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
  await advance(23 * hourMs);
  await registry.must(200, "HEAD", `/v2/finished/blobs/${digestOf(bytes)}`);
  await advance(2 * hourMs);
  await runAlarm("UPLOADS", uploadId(location));
  assert.deepEqual((await registry.must(200, "GET", `/v2/finished/blobs/${digestOf(bytes)}`)).bytes, bytes);
});

test("counts whose answer was lost are added up once", async () => {
  const pulls = async () => {
    const metrics = await registry.must(200, "GET", "/metrics");
    return /stowage_manifest_pulls_total\{repository="counted"\} (\d+)/.exec(metrics.text)?.[1];
  };
  const image = await registry.pushImage("counted", "v1");
  const pull = () => registry.must(200, "GET", `/v2/counted/manifests/${image.digest}`);
  await pull();
  assert.equal(await pulls(), "1");
  await pull();
  await failNext("catalog.addCounts", "after");
  await registry.must(200, "GET", "/metrics");
  assert.equal(await pulls(), "2");
});

test("a push goes on when the bytes that it was lent cannot be read for a moment", async () => {
  const before = registry.stored.blobKeys();
  const { bytes, digest } = await pushLayer("dim/one");
  const [key = ""] = newKeys(before);
  const location = await registry.patch(await registry.openUpload("dim/two"), bytes);
  const close = () => registry.send("PUT", `${location}?digest=${digest}`);
  await failNext("repository.linkBlob", "before");
  assert.equal((await close()).status, 503);
  await setUnreadable(key, true);
  assert.equal((await close()).status, 503);
  await setUnreadable(key, false);
  assert.equal((await close()).status, 201);
  assert.deepEqual((await registry.must(200, "GET", `/v2/dim/two/blobs/${digest}`)).bytes, bytes);
});

test("a cancellation leaves the bytes of an upload that were verified, as others may have them by now", async () => {
  const bytes = content();
  const digest = digestOf(bytes);
  const location = await registry.patch(await registry.openUpload("verified/one"), bytes);
  await failNext("repository.linkBlob", "before");
  assert.equal((await registry.send("PUT", `${location}?digest=${digest}`)).status, 503);
  await registry.pushBlob("verified/two", bytes);
  await registry.must(204, "DELETE", location);
  assert.deepEqual((await registry.must(200, "GET", `/v2/verified/two/blobs/${digest}`)).bytes, bytes);
  await registry.must(404, "GET", `/v2/verified/one/blobs/${digest}`);
});

test("a pull that finds the bytes elsewhere needs no correction of what said otherwise", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content(100_000);
  const digest = await registry.pushBlob("moved/one", bytes);
  const [key = ""] = newKeys(before);
  await (await registry.bucket()).delete(key);
  await registry.pushBlob("moved/two", bytes);
  await failNext("repository.relocateBlob", "before");
  assert.deepEqual((await registry.must(200, "GET", `/v2/moved/one/blobs/${digest}`)).bytes, bytes);
});

test("an object that cannot be asked keeps a scrub from no other, and is named", async () => {
  const image = await registry.pushImage("scrubbed", "v1");
  const location = await registry.patch(await registry.openUpload("scrubbed"), content(6 * 1024 * 1024));
  await advance(23 * hourMs);
  const renewed = await registry.patch(location, content(1));
  await advance(2 * hourMs);
  for (const operation of [
    "repository.dropOrphanedRows",
    "session.ownsKey",
    "repository.scrub",
    "shard.scrub",
  ]) {
    await failNext(operation, "before");
    assert.equal((await scrub(registry)).unchecked.length, 1, operation);
  }
  await registry.pullImage("scrubbed", "v1", image);
  assert.equal(await registry.uploadOffset(renewed), 6 * 1024 * 1024 + 1);
});
