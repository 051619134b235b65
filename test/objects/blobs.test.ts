import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { content, digestOf, mebibyte, unknownDigest } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance, collect } = await startTimedRegistry();
const minuteMs = 60_000;

const exists = async (repository: string, digest: string) =>
  (await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status === 200;

/** Lets everything pass that may be waited for, and does what is due then. */
async function collectAll(repositories: string[], digests: string[]): Promise<void> {
  // Grace, lease, delay before deletion: each is over before the next one begins.
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await collect(repositories, digests);
  }
}

/** The keys in R2 that are not among those before. */
async function newKeys(before: string[]): Promise<string[]> {
  return registry.stored.blobKeys().filter((key) => !before.includes(key));
}

/** Lets bytes go that were pushed although their digest had some: they are given up, and deleted an hour later. */
async function deleteDuplicates(repositories: string[], digest: string): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await advance(2 * hourMs);
    await collect(repositories, [digest]);
  }
}

type Push = (repository: string, bytes: Uint8Array) => Promise<string>;

const pushes: Record<string, Push> = {
  whole: (repository, bytes) => registry.pushBlob(repository, bytes),
  streamed: (repository, bytes) => registry.streamBlob(repository, bytes),
};

for (const [how, push] of Object.entries(pushes)) {
  for (const size of [0, 1000, 6 * mebibyte]) {
    test(`a blob of ${size} bytes, pushed ${how} to many repositories at once, is stored once`, async () => {
      const before = registry.stored.blobKeys();
      const bytes = content(size);
      const names = Array.from(
        { length: size > mebibyte ? 2 : 5 },
        (_, index) => `same/${how}-${size}-${index}`,
      );
      await Promise.all(names.map((name) => push(name, bytes)));
      const digest = digestOf(bytes);
      await deleteDuplicates(names, digest);
      if (size > 0) assert.equal((await newKeys(before)).length, 1);
      for (const name of names) {
        const pulled = await registry.must(200, "GET", `/v2/${name}/blobs/${digest}`);
        assert.equal(digestOf(pulled.bytes), digest);
      }
    });
  }
}

test("a blob that nothing references goes a day after it was last pushed, asked for or mounted", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const digest = await registry.pushBlob("unreferenced", bytes);
  const renewals = [
    () => registry.must(200, "HEAD", `/v2/unreferenced/blobs/${digest}`),
    () => registry.pushBlob("unreferenced", bytes),
    () => registry.must(201, "POST", `/v2/unreferenced/blobs/uploads/?mount=${digest}&from=unreferenced`),
  ];
  for (const renew of renewals) {
    await advance(20 * hourMs);
    await renew();
    await collect(["unreferenced"], [digest]);
  }
  await advance(20 * hourMs);
  await collect(["unreferenced"], [digest]);
  assert.equal((await registry.get(`/v2/unreferenced/blobs/${digest}`)).status, 200);
  await collectAll(["unreferenced"], [digest]);
  expectError(await registry.get(`/v2/unreferenced/blobs/${digest}`), 404, "BLOB_UNKNOWN");
  assert.deepEqual(await newKeys(before), []);
});

test("a referenced blob stays; it goes a day after the last manifest that references it", async () => {
  const before = registry.stored.blobKeys();
  const image = await registry.pushImage("referenced", "latest");
  const digests = [image.config, ...image.layers];
  await collectAll(["referenced"], digests);
  await registry.pullImage("referenced", "latest", image);
  await registry.must(202, "DELETE", `/v2/referenced/manifests/${image.digest}`);
  await collect(["referenced"], digests);
  for (const digest of digests) assert(await exists("referenced", digest));
  await collectAll(["referenced"], digests);
  for (const digest of digests) assert(!(await exists("referenced", digest)));
  assert.deepEqual(await newKeys(before), []);
});

test("a blob that is deleted in one repository stays in another, and its bytes with it", async () => {
  const bytes = content();
  const digest = await registry.pushBlob("deleting/one", bytes);
  await registry.must(201, "POST", `/v2/deleting/two/blobs/uploads/?mount=${digest}&from=deleting/one`);
  await registry.must(202, "DELETE", `/v2/deleting/one/blobs/${digest}`);
  await advance(2 * hourMs);
  await collect(["deleting/one", "deleting/two"], [digest]);
  await advance(2 * hourMs);
  await collect([], [digest]);
  assert(!(await exists("deleting/one", digest)));
  assert.deepEqual((await registry.must(200, "GET", `/v2/deleting/two/blobs/${digest}`)).bytes, bytes);
});

test("a blob whose bytes wait for deletion is pushed again under a key of its own, and stays", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const digest = await registry.pushBlob("revived", bytes);
  const [first] = await newKeys(before);
  await registry.must(202, "DELETE", `/v2/revived/blobs/${digest}`);
  await advance(2 * minuteMs);
  await collect(["revived"], [digest]);
  assert.deepEqual(await newKeys(before), [first], "deletion waits for an hour");
  assert.equal((await registry.send("POST", `/v2/other/blobs/uploads/?mount=${digest}`)).status, 202);
  await registry.pushBlob("revived", bytes);
  await advance(2 * hourMs);
  await collect(["revived"], [digest]);
  const after = await newKeys(before);
  assert.equal(after.length, 1);
  assert.notDeepEqual(after, [first]);
  assert.deepEqual((await registry.must(200, "GET", `/v2/revived/blobs/${digest}`)).bytes, bytes);
});

test("a blob that is deleted and pushed at once is there whenever the push was acknowledged last", async () => {
  const bytes = content();
  const digest = digestOf(bytes);
  for (let round = 0; round < 5; round++) {
    await registry.pushBlob("contended", bytes);
    await Promise.all([
      registry.send("DELETE", `/v2/contended/blobs/${digest}`),
      registry.pushBlob("contended", bytes),
      collect(["contended"], [digest]),
    ]);
    await registry.pushBlob("contended", bytes);
    await advance(2 * hourMs);
    await collect(["contended"], [digest]);
    assert.deepEqual((await registry.must(200, "GET", `/v2/contended/blobs/${digest}`)).bytes, bytes);
  }
});

test("mounts that race with the deletion of their source come to a blob or to an upload", async () => {
  for (let round = 0; round < 5; round++) {
    const bytes = content();
    const digest = await registry.pushBlob("mount/source", bytes);
    const targets = Array.from({ length: 8 }, (_, index) => `mount/target-${round}-${index}`);
    const [answers] = await Promise.all([
      Promise.all(
        targets.map((name) =>
          registry.send("POST", `/v2/${name}/blobs/uploads/?mount=${digest}&from=mount/source`),
        ),
      ),
      registry.send("DELETE", `/v2/mount/source/blobs/${digest}`),
      collect(["mount/source"], [digest]),
    ]);
    await advance(2 * hourMs);
    await collect(["mount/source", ...targets], [digest]);
    for (const [index, { status }] of answers.entries()) {
      const path = `/v2/${targets[index]}/blobs/${digest}`;
      if (status === 201) assert.deepEqual((await registry.must(200, "GET", path)).bytes, bytes);
      else assert.equal(status, 202);
    }
  }
});

test("bytes that were pushed for nothing are deleted", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const digest = digestOf(bytes);
  const cancelled = await registry.openUpload("for-nothing");
  await registry.must(204, "DELETE", cancelled);
  await registry.must(404, "PUT", `${cancelled}?digest=${digest}`, { body: bytes });
  await registry.must(400, "POST", `/v2/for-nothing/blobs/uploads/?digest=${unknownDigest()}`, {
    body: bytes,
  });
  await collectAll(["for-nothing"], [digest]);
  assert.deepEqual(await newKeys(before), []);
  assert(!(await exists("for-nothing", digest)));
});

test("bytes that R2 lost are 503, never 404, and come back with the next push anywhere", async () => {
  const before = registry.stored.blobKeys();
  const bytes = content();
  const digest = await registry.pushBlob("lost", bytes);
  await registry.pushBlob("lost/too", bytes);
  await deleteDuplicates([], digest);
  const [key = ""] = await newKeys(before);
  await (await registry.bucket()).delete(key);
  assert.equal((await registry.send("POST", `/v2/lost/mount/blobs/uploads/?mount=${digest}`)).status, 202);
  for (const name of ["lost", "lost/too"]) {
    const answer = await registry.get(`/v2/${name}/blobs/${digest}`);
    expectError(answer, 503, "UNAVAILABLE");
    assert.equal(answer.header("Retry-After"), "1");
  }
  await registry.pushBlob("lost/healer", bytes);
  for (const name of ["lost", "lost/too", "lost/healer"]) {
    assert.deepEqual((await registry.must(200, "GET", `/v2/${name}/blobs/${digest}`)).bytes, bytes);
  }
});

test("shards and ledgers that are evicted know what they knew", async () => {
  const bytes = content();
  const digest = await registry.pushBlob("evicted/one", bytes);
  await registry.evict("Blobs", digest.slice("sha256:".length).slice(0, 2));
  await registry.evict("Repository", "evicted/one");
  await registry.evict("Catalog", "catalog");
  await registry.must(201, "POST", `/v2/evicted/two/blobs/uploads/?mount=${digest}&from=evicted/one`);
  for (const name of ["evicted/one", "evicted/two"]) {
    assert.deepEqual((await registry.must(200, "GET", `/v2/${name}/blobs/${digest}`)).bytes, bytes);
  }
});

test("without grace, what was deleted is gone from R2 at once, and by itself", async () => {
  const eager = await startTimedRegistry({ vars: { GC_GRACE: "0s", DELETE_DELAY: "0s", LEASE_TTL: "1s" } });
  const bytes = content();
  await eager.registry.pushBlob("eager", bytes);
  await until("the bytes' deletion", async () => eager.registry.stored.blobKeys().length === 0);
  await eager.registry.must(404, "HEAD", `/v2/eager/blobs/${digestOf(bytes)}`);
});
