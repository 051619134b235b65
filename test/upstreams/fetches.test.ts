/** Fetches of blobs that are cut short, joined late, or read slowly. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import test, { afterEach } from "node:test";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { digestOf, mebibyte } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const { registry, crashFetch, runAlarm } = await startTimedRegistry({
  vars: { UPSTREAMS: upstream.settings(), UPSTREAM_TIMEOUT: "5s" },
});

let count = 0;

function newBlob(sizeBytes: number) {
  const name = `team/fetch${++count}`;
  const { layers } = upstream.addImage(name, [sizeBytes], "v1");
  const [bytes = new Uint8Array()] = layers;
  const digest = digestOf(bytes);
  upstream.forget();
  return { bytes, digest, subject: `up/${name}@${digest}`, path: `/v2/up/${name}/blobs/${digest}` };
}

/** Opens a pull and reads nothing of its body yet. */
async function open(path: string): Promise<IncomingMessage> {
  const asked = request(registry.url + path, { agent: false });
  asked.on("error", () => {});
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.on("error", () => {});
  return response;
}

async function read(response: IncomingMessage, atMost = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response) {
    pieces.push(piece);
    length += piece.length;
    if (length >= atMost) break;
  }
  return Buffer.concat(pieces);
}

/** Asserts that the blob is here, whole and once, although the upstream has it no more. */
async function assertKept(path: string, digest: string): Promise<void> {
  const name = /up\/(.+)\/blobs/.exec(path)?.[1] ?? "";
  upstream.remove(name, digest);
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
}

afterEach(() => {
  upstream.pace = undefined;
  upstream.unscript();
});

test("a fetch whose only client has gone after half goes on to its end", async () => {
  const { path, digest } = newBlob(16 * mebibyte);
  upstream.pace = { bytes: mebibyte, ms: 10 };
  const client = await open(path);
  await read(client, 10 * mebibyte);
  client.destroy();
  await until("the blob", async () => {
    const { status } = await registry.send("GET", path, { headers: { Range: "bytes=0-0" } });
    return status === 206 && upstream.count("GET", /blobs/) > 0 && (await isLinked(path));
  });
  await assertKept(path, digest);
});

/** Whether a part comes from here, not from the upstream. */
async function isLinked(path: string): Promise<boolean> {
  const before = upstream.seen.length;
  await registry.send("GET", path, { headers: { Range: "bytes=0-0" } });
  return upstream.seen.length === before;
}

test("a fetch whose object is evicted in the middle is resumed by the next client where it was", async () => {
  const { path, digest, subject } = newBlob(24 * mebibyte);
  upstream.pace = { bytes: mebibyte, ms: 60 };
  const client = await open(path);
  await read(client, 12 * mebibyte);
  await crashFetch(subject);
  upstream.pace = undefined;
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  const ranges = upstream.seen.flatMap(({ headers }) => headers.range ?? []);
  assert.equal(ranges.length, 1);
  assert.match(ranges[0] ?? "", /^bytes=[1-9]\d*-$/);
  await assertKept(path, digest);
});

test("or by its alarm", async () => {
  const { path, digest, subject } = newBlob(24 * mebibyte);
  upstream.pace = { bytes: mebibyte, ms: 20 };
  await read(await open(path), 14 * mebibyte);
  await crashFetch(subject);
  upstream.pace = undefined;
  await runAlarm("FETCHES", subject);
  await until("the blob", () => isLinked(path));
  await assertKept(path, digest);
});

test("a client that joins late gets all of it, from one fetch", async () => {
  const { path, digest } = newBlob(24 * mebibyte);
  upstream.pace = { bytes: mebibyte, ms: 20 };
  const first = await open(path);
  const begun = await read(first, 12 * mebibyte);
  assert(begun.byteLength < 24 * mebibyte);
  const late = registry.must(200, "GET", path);
  assert.equal(digestOf((await late).bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("a client that reads slowly slows down nobody, and gets all of it", async () => {
  const { path, digest } = newBlob(48 * mebibyte);
  const slow = await open(path);
  const fast = await registry.must(200, "GET", path);
  assert.equal(digestOf(fast.bytes), digest);
  assert.equal(digestOf(await read(slow)), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("fifty clients at once, of which some wait for the end, cause one fetch", async () => {
  const { path, digest } = newBlob(2 * mebibyte);
  upstream.pace = { bytes: mebibyte / 4, ms: 5 };
  const all = await Promise.all(Array.from({ length: 50 }, () => registry.must(200, "GET", path)));
  for (const { bytes } of all) assert.equal(digestOf(bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("a blob that another repository of the upstream has is linked, after the upstream was asked", async () => {
  const { bytes, digest, path } = newBlob(6 * mebibyte);
  await registry.must(200, "GET", path);
  const name = `team/fetch${++count}`;
  upstream.addBlob(name, bytes);
  upstream.forget();
  await registry.must(200, "GET", `/v2/up/${name}/blobs/${digest}`);
  assert.deepEqual(
    upstream.seen.map(({ method }) => method),
    ["HEAD"],
  );
  await registry.must(404, "GET", `/v2/up/team/without/blobs/${digest}`);
});

test("what was pushed here is fetched, whatever the upstream says of its digest", async () => {
  const { bytes, digest, path } = newBlob(3000);
  await registry.pushBlob("private/app", bytes);
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

if (bucketUnderTest.kind === "disk") {
  test("a late client is not kept waiting for the end", async () => {
    const { path } = newBlob(48 * mebibyte);
    upstream.pace = { bytes: mebibyte, ms: 100 };
    const first = await open(path);
    await read(first, 24 * mebibyte);
    const late = await open(path);
    // More than what is in memory, long before the end.
    const bytes = await read(late, 16 * mebibyte);
    assert(bytes.byteLength < 40 * mebibyte);
    late.destroy();
  });
}
