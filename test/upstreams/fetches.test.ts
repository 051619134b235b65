/** Fetches of blobs that are cut short, joined late, or read slowly. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import test, { afterEach } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { FileRange } from "../../src/storage/disk-files.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { fetchOnce } from "../support/client.ts";
import { digestOf, mebibyte } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { rowsIn } from "../support/sqlite.ts";
import { temporaryData } from "../support/temporary.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { end, ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const dataDirectory = temporaryData();
const { registry, advance, collect, crashFetch, runAlarm, bufferPeak, failNext, holdNext, call } =
  await startTimedRegistry({
    dataDirectory,
    vars: { UPSTREAMS: upstream.settings() },
  });

/** The least that an upstream has to send in `UPSTREAM_TIMEOUT`. */
const pieceBytes = 64 * 1024;

let count = 0;

function newBlob(sizeBytes: number) {
  const name = `team/fetch${++count}`;
  const { layers } = upstream.addImage(name, [sizeBytes], "v1");
  const [bytes = new Uint8Array()] = layers;
  const digest = digestOf(bytes);
  upstream.forget();
  return { bytes, digest, subject: `up/${name}@${digest}`, path: `/v2/up/${name}/blobs/${digest}` };
}

type Blob = ReturnType<typeof newBlob>;

/**
 * Has the upstream send so many bytes of a blob at once, and then no more than it must, so that the fetch is under way
 * for as long as a test needs. Returns what has it send the rest.
 */
function holdUp({ digest, bytes }: Blob, first: number): () => void {
  const rest = Promise.withResolvers<void>();
  upstream.script("GET", new RegExp(digest), async (_, response) => {
    response.on("close", rest.resolve).writeHead(200, { "Content-Length": bytes.byteLength });
    response.write(bytes.subarray(0, first));
    let sent = first;
    const trickle = setInterval(() => {
      const end = Math.min(sent + pieceBytes, bytes.byteLength - mebibyte);
      response.write(bytes.subarray(sent, end));
      sent = end;
    }, 200);
    await rest.promise;
    clearInterval(trickle);
    if (!response.closed) response.end(bytes.subarray(sent));
  });
  return rest.resolve;
}

/** How many parts of a fetch are kept: who resumes it goes on after them. */
function keptParts(subject: string): number {
  const files = globSync(join(dataDirectory, "do/stowage-Fetch/*.sqlite"));
  const pieces = files.flatMap((file) => rowsIn(file, "session_pieces")) as { session: string }[];
  return pieces.filter(({ session }) => session === subject).length;
}

/** Begins to fetch a blob of 24 MiB, and ends the object that does, with some of it kept. */
async function crashInTheMiddle(blob: Blob): Promise<void> {
  holdUp(blob, 14 * mebibyte);
  await read(await open(blob.path), 13 * mebibyte);
  await until("a part to be kept", () => keptParts(blob.subject) > 0);
  await crashFetch(blob.subject);
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

/** Reads at least so many bytes, or all; then the connection ends, unless it is to be read on. */
async function read(
  response: IncomingMessage,
  atLeast = Number.POSITIVE_INFINITY,
  destroyOnReturn = true,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.iterator({ destroyOnReturn })) {
    pieces.push(piece);
    length += piece.length;
    if (length >= atLeast) break;
  }
  return Buffer.concat(pieces);
}

/** The same bytes but for one. */
function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = ~(copy[at] ?? 0);
  return copy;
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

test("one that nobody waits for ends after a minute", async () => {
  const { path, digest, bytes } = newBlob(48 * mebibyte);
  let sent = 2 * mebibyte;
  let isClosed = false;
  let response: Parameters<typeof end>[0] | undefined;
  upstream.script("GET", new RegExp(digest), (_, opened) => {
    response = opened;
    opened.on("close", () => {
      isClosed = true;
    });
    opened.writeHead(200, { "Content-Length": bytes.byteLength });
    opened.write(bytes.subarray(0, sent));
  });
  await read(await open(path), mebibyte);
  // When the registry sees that its client has gone cannot be told: a minute passes with each piece from then on.
  await until("the end of the connection", async () => {
    assert(sent < bytes.byteLength / 2, "the fetch goes on");
    response?.write(bytes.subarray(sent, sent + pieceBytes));
    sent += pieceBytes;
    await advance(61_000);
    await delay(50);
    return isClosed;
  });
  upstream.unscript();
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
});

/** Whether a part comes from here, not from the upstream. */
async function isLinked(path: string): Promise<boolean> {
  const before = upstream.seen.length;
  await registry.send("GET", path, { headers: { Range: "bytes=0-0" } });
  return upstream.seen.length === before;
}

test("a fetch whose object is evicted in the middle is resumed by the next client where it was", async () => {
  const blob = newBlob(24 * mebibyte);
  const { path, digest } = blob;
  await crashInTheMiddle(blob);
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  const ranges = upstream.seen.flatMap(({ headers }) => headers.range ?? []);
  assert.equal(ranges.length, 1);
  assert.match(ranges[0] ?? "", /^bytes=[1-9]\d*-$/);
  await assertKept(path, digest);
});

test("or by its alarm", async () => {
  const blob = newBlob(24 * mebibyte);
  const { path, digest, subject } = blob;
  await crashInTheMiddle(blob);
  await advance(10_000);
  await runAlarm("FETCHES", subject);
  await until("the blob", () => isLinked(path));
  await assertKept(path, digest);
});

test("the shard of a digest knows of the bytes that are fetched for it before they are stored", async () => {
  const { path, digest } = newBlob(1000);
  const before = registry.stored.blobKeys();
  const adoption = await holdNext("shard.adopt", "before");
  const pull = registry.must(200, "GET", path);
  await adoption.hasCome();
  const keys = registry.stored.blobKeys().filter((key) => !before.includes(key));
  const shard = digest.slice("sha256:".length).slice(0, 2);
  assert.equal(keys.length, 1);
  assert.deepEqual(await call("BLOB_SHARDS", shard, "unknownKeys", keys), []);
  await adoption.letGo();
  await pull;
});

test("a client that joins late gets all of it, from one fetch", async () => {
  const blob = newBlob(24 * mebibyte);
  const { path, digest } = blob;
  // So little is left that it is worth waiting for the end, however slow the machine is.
  const goOn = holdUp(blob, 22 * mebibyte);
  await read(await open(path), 12 * mebibyte);
  const late = await open(path);
  goOn();
  assert.equal(digestOf(await read(late)), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("a client that reads slowly slows down nobody, and gets all of it", async () => {
  // More than connections hold; and little enough to come within seconds, as latecomers have it sent again otherwise.
  const { path, digest } = newBlob(24 * mebibyte);
  const [slow, fast] = await Promise.all([open(path), registry.must(200, "GET", path)]);
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

test("clients that come while a fetch begins wait for that one", async () => {
  const { path, digest } = newBlob(1000);
  const held = await holdNext("repository.blobState", "before");
  const first = registry.must(200, "GET", path);
  await held.hasCome();
  const second = registry.must(200, "GET", path);
  await delay(200);
  assert.equal(upstream.count("GET", /blobs/), 0);
  await held.letGo();
  for (const { bytes } of await Promise.all([first, second])) assert.equal(digestOf(bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("many fetches at once with clients that read nothing yet keep within the memory for them", async () => {
  const blobs = Array.from({ length: 5 }, () => newBlob(12 * mebibyte));
  const waiting = await Promise.all(blobs.flatMap(({ path }) => [open(path), open(path)]));
  const fast = await Promise.all(blobs.map(({ path }) => registry.must(200, "GET", path)));
  assert.deepEqual(
    fast.map(({ bytes }) => digestOf(bytes)),
    blobs.map(({ digest }) => digest),
  );
  for (const [index, client] of waiting.entries())
    assert.equal(digestOf(await read(client)), blobs[Math.floor(index / 2)]?.digest);
  const peak = await bufferPeak();
  assert(peak > 0 && peak <= 64 * mebibyte, `${peak} bytes`);
});

test("bytes of another digest break off before the last one", async () => {
  const { bytes, digest, path } = newBlob(12 * mebibyte);
  upstream.pace = { bytes: mebibyte, ms: 20 };
  const wrong = changed(bytes, 1000);
  upstream.script("GET", new RegExp(digest), async (_, response) => {
    response.writeHead(200, { "Content-Length": wrong.byteLength });
    await upstream.sendPieces(response, wrong);
  });
  const client = await open(path);
  assert.equal(client.headers["content-length"], String(bytes.byteLength));
  await assert.rejects(read(client), /aborted|ECONNRESET/);
  assert.equal(await isLinked(path), false);
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

test("or fetched, if the upstream has no HEAD", async () => {
  const { bytes, digest, path } = newBlob(6 * mebibyte);
  await registry.must(200, "GET", path);
  const name = `team/fetch${++count}`;
  upstream.addBlob(name, bytes);
  upstream.script("HEAD", new RegExp(digest), (_, response) => end(response, 405));
  upstream.forget();
  await registry.must(200, "GET", `/v2/up/${name}/blobs/${digest}`);
  assert.deepEqual(
    upstream.seen.map(({ method }) => method),
    ["HEAD", "GET"],
  );
});

test("what was pushed here is fetched, whatever the upstream says of its digest", async () => {
  const { bytes, digest, path } = newBlob(3000);
  await registry.pushBlob("private/app", bytes);
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

if (bucketUnderTest.kind === "r2") {
  /** A pull of which a part has come that is no more in memory, while the rest takes more than five seconds. */
  async function partlyPulled(path: string): Promise<{ rest: Promise<Uint8Array>; begun: Uint8Array }> {
    upstream.pace = { bytes: 2 * mebibyte, ms: 300 };
    const first = await open(path);
    const begun = await read(first, 14 * mebibyte, false);
    return { rest: read(first), begun };
  }

  test("a late client gets what it missed from the upstream, twice a blob at most, and then reads along", async () => {
    const { bytes, path, digest } = newBlob(64 * mebibyte);
    const { rest, begun } = await partlyPulled(path);
    upstream.script("GET", new RegExp(digest), (_, response) => end(response, 200, {}, bytes), 2);
    const late = [await open(path), await open(path), await open(path)];
    const missed = await Promise.all(late.slice(0, 2).map((client) => read(client, 8 * mebibyte, false)));
    for (const part of missed) assert(part.byteLength < 32 * mebibyte);
    upstream.pace = undefined;
    const ends = await Promise.all(late.map((client) => read(client)));
    const whole = ends.map((part, index) => digestOf(Buffer.concat([missed[index] ?? Buffer.of(), part])));
    assert.deepEqual(whole, [digest, digest, digest]);
    assert.equal(digestOf(Buffer.concat([begun, await rest])), digest);
    assert.equal(upstream.count("GET", /blobs/), 3);
    await assertKept(path, digest);
  });

  test("what it missed breaks off: it waits for the end, and gets all of it once", async () => {
    const { bytes, path, digest } = newBlob(64 * mebibyte);
    const { rest, begun } = await partlyPulled(path);
    upstream.script("GET", new RegExp(digest), (_, response) => {
      response.writeHead(200, { "Content-Length": bytes.byteLength });
      response.write(bytes.subarray(0, 4 * mebibyte), () => response.destroy());
    });
    const late = await open(path);
    const missed = await read(late, mebibyte, false);
    upstream.pace = undefined;
    assert.equal(digestOf(Buffer.concat([missed, await read(late)])), digest);
    assert.equal(digestOf(Buffer.concat([begun, await rest])), digest);
    assert.equal(upstream.count("GET", /blobs/), 2);
  });

  test("its connection breaks if that was something else", async () => {
    const { bytes, path, digest } = newBlob(64 * mebibyte);
    const { rest, begun } = await partlyPulled(path);
    const wrong = changed(bytes, 1000);
    upstream.script("GET", new RegExp(digest), (_, response) => end(response, 200, {}, wrong));
    const late = await open(path);
    await read(late, 8 * mebibyte, false);
    upstream.pace = undefined;
    await assert.rejects(read(late), /aborted|ECONNRESET/);
    assert.equal(digestOf(Buffer.concat([begun, await rest])), digest);
    await assertKept(path, digest);
  });
}

if (bucketUnderTest.kind === "disk") {
  test("an upstream that is fast at first, and then slow, gives clients all of it", async () => {
    const { bytes, path, digest } = newBlob(80 * mebibyte);
    upstream.script("GET", new RegExp(digest), async (_, response) => {
      response.writeHead(200, { "Content-Length": bytes.byteLength });
      response.write(bytes.subarray(0, 64 * mebibyte));
      upstream.pace = { bytes: mebibyte, ms: 50 };
      await upstream.sendPieces(response, bytes.subarray(64 * mebibyte));
    });
    const slow = await open(path);
    const both = await Promise.all([registry.must(200, "GET", path), registry.must(200, "GET", path)]);
    for (const fast of both) assert.equal(digestOf(fast.bytes), digest);
    assert.equal(digestOf(await read(slow)), digest);
    assert.equal(upstream.count("GET", /blobs/), 1);
  });

  test("bytes of another digest that come fast break off before the last one", async () => {
    const { bytes, digest, path } = newBlob(96 * mebibyte);
    const wrong = changed(bytes, 1000);
    upstream.script("GET", new RegExp(digest), (_, response) => end(response, 200, {}, wrong));
    await assert.rejects(read(await open(path)), /aborted|ECONNRESET/);
    assert.equal(await isLinked(path), false);
  });

  test("whoever takes files gets the names of those that are stored, and all bytes where they come slowly", async () => {
    const { path, digest, bytes } = newBlob(96 * mebibyte);
    const slow = newBlob(2 * mebibyte);
    const takesFiles = { headers: { "Stowage-Files": "yes" } };
    // So the fetch's own bytes are not needed in the end.
    await registry.pushBlob("private/files", bytes);
    const most = 80 * mebibyte;
    const rest = Promise.withResolvers<void>();
    upstream.script("GET", new RegExp(digest), async (_, response) => {
      response.writeHead(200, { "Content-Length": bytes.byteLength });
      response.write(bytes.subarray(0, most));
      await rest.promise;
      response.end(bytes.subarray(most));
    });
    const first = await open(path);
    await read(first, 32 * mebibyte, false);
    const asked = fetchOnce(registry.url + path, takesFiles);
    rest.resolve();
    const [answer] = await Promise.all([asked, read(first)]);
    assert.equal(answer.status, 200);
    const { headers } = answer;
    const came = Buffer.from(await answer.arrayBuffer());
    const length = headers.get("Stowage-Files");
    // The machine may be too slow for them to come fast.
    if (length === null) assert.equal(digestOf(came), digest);
    else {
      assert.equal(length, String(bytes.byteLength));
      await runAlarm("BLOB_SHARDS", digest.slice("sha256:".length, "sha256:".length + 2));
      const lines: string[] = came.toString().trimEnd().split("\n");
      const ranges = lines.map((line) => JSON.parse(line) as FileRange);
      const parts = ranges.map(({ path, range }) =>
        readFileSync(join(dataDirectory, "files", path)).subarray(range.offset, range.offset + range.length),
      );
      assert.equal(digestOf(Buffer.concat(parts)), digest);
    }
    upstream.pace = { bytes: mebibyte / 4, ms: 50 };
    const sent = await registry.must(200, "GET", slow.path, takesFiles);
    assert.equal(sent.headers.get("Stowage-Files"), null);
    assert.equal(digestOf(sent.bytes), slow.digest);
  });

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

test("a blob that was collected is fetched again, also by an isolate that knows where it was", async () => {
  const { bytes, digest, path } = newBlob(200_000);
  const repository = path.slice("/v2/".length, path.indexOf("/blobs/"));
  await registry.must(200, "GET", path);
  await advance(hourMs);
  await registry.must(200, "GET", path);
  assert.equal(upstream.count("GET", /blobs/), 1);
  for (let round = 0; round < 3; round++) {
    await registry.must(200, "POST", "/api/v1/gc", { body: '{"now":true}' });
    await collect([repository], [digest]);
    await advance(5_000);
  }
  assert.deepEqual((await registry.must(200, "GET", path)).bytes, bytes);
  assert.equal(upstream.count("GET", /blobs/), 2);
});

test("an alarm leaves a fetch alone that is under way", async () => {
  const blob = newBlob(24 * mebibyte);
  const { path, digest, subject } = blob;
  const goOn = holdUp(blob, 14 * mebibyte);
  const client = await open(path);
  const begun = await read(client, 13 * mebibyte, false);
  await advance(10_000);
  await runAlarm("FETCHES", subject);
  // What the alarm had begun would ask before this.
  await registry.must(206, "GET", path, { headers: { Range: "bytes=0-0" } });
  const resumed = upstream.seen.filter(({ headers }) => /^bytes=[1-9]/.test(headers.range ?? ""));
  assert.deepEqual(resumed, []);
  goOn();
  assert.equal(digestOf(Buffer.concat([begun, await read(client)])), digest);
});

test("a client that asks while an alarm resumes the fetch waits for that", async () => {
  const blob = newBlob(24 * mebibyte);
  const { path, digest, subject } = blob;
  await crashInTheMiddle(blob);
  upstream.forget();
  const held = await holdNext("repository.blobState", "before");
  const pull = registry.must(200, "GET", path);
  await held.hasCome();
  await advance(10_000);
  await runAlarm("FETCHES", subject);
  await until("the rest to be asked for", () => upstream.count("GET", /blobs/) === 1);
  await held.letGo();
  assert.equal(digestOf((await pull).bytes), digest);
  assert.equal(upstream.count("GET", /blobs/), 1);
});

/** Asserts that the alarm of a fetch brings the blob here, although the upstream has it no more. */
async function assertBroughtByAlarm({ path, digest, subject }: Blob): Promise<void> {
  upstream.script("GET", /blobs/, (_, response) => end(response, 404), 100);
  await advance(10_000);
  await runAlarm("FETCHES", subject);
  await until("the blob", () => isLinked(path));
  assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
}

test("what is stored as a whole needs no upstream any more when its object ends before it is verified", async () => {
  const blob = newBlob(12 * mebibyte);
  const held = await holdNext("complete", "before");
  const client = await open(blob.path);
  await held.hasCome();
  await crashFetch(blob.subject);
  await held.letGo();
  await assert.rejects(read(client));
  await assertBroughtByAlarm(blob);
});

test("verified bytes that the shard cannot adopt now are adopted by the alarm, and deleted by nobody meanwhile", async () => {
  const blob = newBlob(12 * mebibyte);
  await failNext("shard.adopt", "before");
  await assert.rejects(read(await open(blob.path)), /aborted|ECONNRESET/);
  await assertBroughtByAlarm(blob);
});

test("the parts of a fetch that fails are given up", async () => {
  const { path, bytes, digest } = newBlob(12 * mebibyte);
  const wrong = changed(bytes, 1000);
  upstream.script("GET", new RegExp(digest), (_, response) => end(response, 200, {}, wrong));
  const abort = await holdNext("abort", "before");
  const pull = open(path).then((client) => read(client));
  await abort.hasCome();
  await abort.letGo();
  await assert.rejects(pull, /aborted|ECONNRESET/);
});
