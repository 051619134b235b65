/**
 * Stored bytes that are lost, cut short, altered, or cannot be read: nothing wrong is served as right, a scrub says so
 * and goes on, a push of the same content puts it right, and nothing else is affected.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { foldersOf } from "../../src/local/data-layout.ts";
import { wholePath } from "../../src/storage/disk-files.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf, mebibyte } from "../support/content.ts";
import { temporaryData } from "../support/temporary.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { scrub } from "../support/upkeep.ts";

const dataDirectory = temporaryData();
const isOnDisk = bucketUnderTest.kind === "disk";
const { registry, advance, collect, runAlarm, setUnreadable, call } = await startTimedRegistry({
  dataDirectory,
  vars: { SCRUB_EVERY: "48h" },
});
// Ahead of the real clock: from now on no alarm runs by itself.
await advance(hourMs);

const shardOf = (digest: string) => digest.slice("sha256:".length).slice(0, 2);

/** A digest's bytes in the bucket, and ways to damage them. */
type Victim = { key: string; bytes: Uint8Array; digest: string };

async function store(repository: string, bytes: Uint8Array, isStreamed = false): Promise<Victim> {
  const before = registry.stored.blobKeys();
  const digest = await (isStreamed ? pushInTwo(repository, bytes) : registry.pushBlob(repository, bytes));
  const [key = ""] = registry.stored.blobKeys().filter((each) => !before.includes(each));
  return { key, bytes, digest };
}

/** Pushes in two chunks, each of which is a part of its own on disk. */
async function pushInTwo(repository: string, bytes: Uint8Array): Promise<string> {
  let location = await registry.openUpload(repository);
  for (const half of [bytes.slice(0, bytes.byteLength / 2), bytes.slice(bytes.byteLength / 2)]) {
    location = await registry.patch(location, half);
  }
  await registry.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
  return digestOf(bytes);
}

/** The file of a part of a key's bytes, by its place among them. */
function partOf(key: string, place: number): string {
  const [index = ""] = filesOf(key, "index");
  const files: { name: string }[] = JSON.parse(readFileSync(index, "utf8"));
  assert.equal(files.length, 2);
  return filesOf(key, files.at(place)?.name ?? "none")[0] ?? "";
}

/** The files in a key's folder whose names are like this. */
function filesOf(key: string, pattern: string): string[] {
  return globSync(join(foldersOf(dataDirectory).files, key, pattern)).sort();
}

/** The file with all bytes of a key that was put at once. */
function wholeOf(key: string): string {
  return join(foldersOf(dataDirectory).files, wholePath(key));
}

const damages: Record<string, (victim: Victim) => Promise<void> | void> = isOnDisk
  ? {
      lost: ({ key }) => rmSync(wholeOf(key)),
      "cut short": ({ key, bytes }) => truncateSync(wholeOf(key), bytes.byteLength - 1),
      altered: ({ key, bytes }) => {
        const flipped = bytes.map((byte) => byte ^ 1);
        // What is altered must be there: otherwise this would write a new file.
        writeFileSync(wholeOf(key), flipped, { flag: "r+" });
      },
    }
  : {
      lost: async ({ key }) => (await registry.bucket()).delete(key),
      "cut short": async ({ key, bytes }) => void (await (await registry.bucket()).put(key, bytes.slice(1))),
      altered: async ({ key, bytes }) =>
        void (await (
          await registry.bucket()
        ).put(
          key,
          bytes.map((byte) => byte ^ 1),
        )),
    };

/** What only parts of a blob can suffer, that lie in files of their own. */
const damagesOfParts: Record<string, (victim: Victim) => void> = {
  "without its first part": ({ key }) => rmSync(partOf(key, 0)),
  "without its last part": ({ key }) => rmSync(partOf(key, -1)),
  "with a part cut short": ({ key }) => truncateSync(partOf(key, -1), 1000),
  "with an empty index": ({ key }) => writeFileSync(filesOf(key, "index")[0] ?? "", ""),
  "with an index that is no list": ({ key }) => writeFileSync(filesOf(key, "index")[0] ?? "", '{"name":"x"}'),
  "with an index that names other files": ({ key }) =>
    writeFileSync(filesOf(key, "index")[0] ?? "", '[{"name":"../../secret","sizeBytes":5}]'),
};

/** Asserts that a GET gives the right bytes, or fails as what may be tried again. */
async function pull(repository: string, digest: string): Promise<number> {
  // One whose bytes break off throws.
  const answer = await registry.get(`/v2/${repository}/blobs/${digest}`).catch(() => undefined);
  if (answer === undefined) return 503;
  if (answer.status === 200) assert.equal(digestOf(answer.bytes), digest);
  return answer.status;
}

const problemsWith = async (digest: string) =>
  (await scrub(registry)).problems.filter((problem) => problem.digest === digest);

/** Lets all be deleted that is on its way out. */
async function collectAll(repositories: string[], digest: string): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const name of repositories) await registry.send("HEAD", `/v2/${name}/blobs/${digest}`);
    await advance(13 * hourMs);
    await collect(repositories, [digest]);
  }
}

const cases: [
  what: string,
  size: number,
  isStreamed: boolean,
  damage: (victim: Victim) => Promise<void> | void,
][] = [
  ...Object.entries(damages).flatMap(([what, damage]): typeof cases => [
    [`small, ${what}`, 1000, false, damage],
    [`large, ${what}`, 3 * mebibyte, false, damage],
  ]),
  ...(isOnDisk
    ? Object.entries(damagesOfParts).map(([what, damage]): (typeof cases)[number] => [
        what,
        3 * mebibyte,
        true,
        damage,
      ])
    : []),
];

for (const [index, [what, size, isStreamed, damage]] of cases.entries()) {
  test(`a blob, ${what}, is reported, served nowhere, and put right by the next push`, async () => {
    const names = [`damaged/${index}`, `intact/${index}`] as const;
    const victim = await store(names[0], content(size), isStreamed);
    const { digest, bytes } = victim;
    const other = await store(names[0], content());
    await damage(victim);
    const isAltered = what.endsWith("altered");
    // Large bytes are not held in memory to be compared: their client does that.
    if (!isAltered || size < mebibyte) assert.equal(await pull(names[0], digest), 503);
    assert.equal((await problemsWith(digest)).length, 1);
    assert.equal(await pull(names[0], other.digest), 200);
    const before = registry.stored.blobKeys();
    await registry.pushBlob(names[1], bytes);
    const [fresh] = registry.stored.blobKeys().filter((key) => !before.includes(key));
    // What was found to be wrong goes at once.
    await collect([], [digest]);
    for (const name of names) assert.equal(await pull(name, digest), 200, name);
    await collectAll([...names], digest);
    assert(registry.stored.blobKeys().includes(fresh ?? "none"), "the good bytes stay");
    assert(!registry.stored.blobKeys().includes(victim.key), "the damaged ones go");
    for (const name of names) assert.equal(await pull(name, digest), 200, name);
    assert.deepEqual(await problemsWith(digest), []);
  });
}

test("small bytes that are not their digest's are not kept, and mark the digest at once", async () => {
  const victim = await store("marked", content(1000));
  await damages.altered?.(victim);
  for (const range of [{}, { Range: "bytes=0-9" }]) {
    const answer = await registry.get(`/v2/marked/blobs/${victim.digest}`, range);
    assert.equal(answer.status, 503);
  }
  await registry.pushBlob("marked/too", victim.bytes);
  assert.equal(await pull("marked", victim.digest), 200);
  const range = await registry.get(`/v2/marked/blobs/${victim.digest}`, { Range: "bytes=1-3" });
  assert.deepEqual([range.status, range.bytes], [206, victim.bytes.slice(1, 4)]);
});

test("a shard's own scrub goes past a digest that cannot be read", async () => {
  const inFirst = (): Uint8Array => {
    for (;;) {
      const bytes = content();
      if (digestOf(bytes).startsWith("sha256:0b")) return bytes;
    }
  };
  const [one, two] = [inFirst(), inFirst()].sort((a, b) => digestOf(a).localeCompare(digestOf(b)));
  assert(one !== undefined && two !== undefined);
  const unreadable = await store("own", one);
  const altered = await store("own", two);
  await damages.altered?.(altered);
  await setUnreadable(unreadable.key, true);
  for (let round = 0; round < 3; round++) {
    await registry.send("HEAD", `/v2/own/blobs/${altered.digest}`);
    await advance(17 * hourMs);
    await runAlarm("BLOB_SHARDS", "0b");
  }
  assert.equal(await call("BLOB_SHARDS", "0b", "lease", altered.digest, "own"), null);
  await setUnreadable(unreadable.key, false);
});

/** Whether a mount of the digest is possible: whether the shard would lend its bytes. */
async function isLent(digest: string): Promise<boolean> {
  return (await call("BLOB_SHARDS", shardOf(digest), "lease", digest, "asker")) !== null;
}

test("bytes that cannot be read are at fault after three tries over an hour", async () => {
  await store("healthy", content());
  const victim = await store("unreadable", content(1000));
  const { digest, key } = victim;
  for (const minutes of [0, 20, 20, 19]) {
    await advance(minutes * 60_000);
    await setUnreadable(key, true);
    const [problem] = await problemsWith(digest);
    assert.match(problem?.detail ?? "", /could not be read/);
    await setUnreadable(key, false);
    // That it can be read was not noted: nobody looked at all of it.
  }
  assert(await isLent(digest), "59 minutes are no hour");
});

test("a digest that could not be read for an hour is replaced, and its bytes kept for the grace", async () => {
  await store("healthy", content());
  const victim = await store("dim", content(1000));
  const { digest, key, bytes } = victim;
  await setUnreadable(key, true);
  await scrub(registry);
  for (let round = 0; round < 2; round++) {
    await advance(31 * 60_000);
    await runAlarm("BLOB_SHARDS", shardOf(digest));
  }
  await setUnreadable(key, false);
  assert(!(await isLent(digest)), "it is at fault");
  await registry.pushBlob("dim/too", bytes);
  assert(await isLent(digest));
  await advance(20 * hourMs);
  for (const name of ["dim", "dim/too"]) await registry.send("HEAD", `/v2/${name}/blobs/${digest}`);
  await collect(["dim", "dim/too"], [digest]);
  assert(registry.stored.blobKeys().includes(key), "kept for GC_GRACE");
  await advance(5 * hourMs);
  await collect(["dim", "dim/too"], [digest]);
  assert(!registry.stored.blobKeys().includes(key));
  for (const name of ["dim", "dim/too"]) assert.equal(await pull(name, digest), 200);
});

test("a push of a digest that cannot be read just now is kept, and so are the bytes that were there", async () => {
  const victim = await store("blind", content(1000));
  await setUnreadable(victim.key, true);
  await registry.pushBlob("blind/too", victim.bytes);
  assert.equal(await pull("blind/too", victim.digest), 200);
  await setUnreadable(victim.key, false);
  await advance(2 * hourMs);
  await collect(["blind", "blind/too"], [victim.digest]);
  assert(registry.stored.blobKeys().includes(victim.key));
});

test("an outage of the bucket marks nothing", async () => {
  const victims = [await store("outage", content(1000)), await store("outage", content(1000))];
  await setUnreadable("*", true);
  for (let round = 0; round < 4; round++) {
    const { problems } = await scrub(registry);
    for (const { digest } of victims) assert(problems.some((problem) => problem.digest === digest));
    await advance(31 * 60_000);
  }
  await setUnreadable("*", false);
  for (const { digest } of victims) assert(await isLent(digest));
  const { problems } = await scrub(registry);
  for (const { digest } of victims) assert(!problems.some((problem) => problem.digest === digest));
});

test("a damaged row of the replica is a miss, and is written anew", async () => {
  const image = await registry.pushImage("replicated", "v1");
  await runAlarm("LEDGERS", "replicated");
  const kv = await registry.kv();
  const name = `manifest/replicated@${image.digest}`;
  const right = Buffer.from((await kv.get(name, "arrayBuffer")) ?? []);
  const wrongs = [
    right.map((byte: number, at: number) => (at === right.length - 2 ? byte ^ 1 : byte)),
    right.subarray(0, -5),
    right.subarray(0, 3),
    Buffer.from("{}"),
  ];
  for (const wrong of wrongs) {
    await kv.put(name, wrong);
    // Another isolate, which remembers nothing.
    await advance(2 * hourMs);
    const pulled = await registry.must(200, "GET", `/v2/replicated/manifests/${image.digest}`);
    assert.equal(digestOf(pulled.bytes), image.digest);
    await advance(60_000);
    await runAlarm("LEDGERS", "replicated");
    assert.deepEqual(Buffer.from((await kv.get(name, "arrayBuffer")) ?? []), right);
  }
});
