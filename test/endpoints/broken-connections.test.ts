import assert from "node:assert/strict";
import test from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf, mebibyte, unknownDigest } from "../support/content.ts";
import { exchange, head, OpenRequest } from "../support/raw.ts";
import { startRegistry, until } from "../support/registry.ts";
import { leavesUnchanged, replicaHas } from "../support/snapshot.ts";

const registry = await startRegistry();
const image = await registry.pushImage("known", "latest", [content(4 * mebibyte)]);
const [layer = ""] = image.layers;
await replicaHas(registry, 4);

/** Begins a request, and sends the first part of its body. */
async function begin(method: string, target: string, first: Uint8Array, headers: Record<string, string>) {
  const request = new OpenRequest(registry.url, head(method, target, headers));
  await request.write(first);
  return request;
}

const wholePushes: Record<string, (digest: string) => Promise<[method: string, target: string]>> = {
  "a single POST": async (digest) => ["POST", `/v2/known/blobs/uploads/?digest=${digest}`],
  "POST, then PUT": async (digest) => ["PUT", `${await registry.openUpload("known")}?digest=${digest}`],
};

for (const [how, makeTarget] of Object.entries(wholePushes)) {
  test(`a whole blob that breaks off is not stored, and may be sent again: ${how}`, async () => {
    const bytes = content(2 * mebibyte);
    const digest = digestOf(bytes);
    const [method, target] = await makeTarget(digest);
    const headers = { "Content-Length": String(bytes.byteLength) };
    await leavesUnchanged(registry, async () => {
      const cut = await begin(method, target, bytes.slice(0, mebibyte), headers);
      cut.cut();
      const half = Buffer.concat([Buffer.from(head(method, target, headers)), bytes.slice(0, mebibyte)]);
      const answer = await exchange(registry.url, half, "half-close");
      assert(answer !== undefined);
      expectError(answer, 400, "BLOB_UPLOAD_INVALID");
      await registry.must(404, "HEAD", `/v2/known/blobs/${digest}`);
    });
    await registry.must(201, method, target, { body: bytes });
    assert.deepEqual((await registry.must(200, "GET", `/v2/known/blobs/${digest}`)).bytes, bytes);
  });
}

const framings: Record<string, (bytes: Uint8Array) => Record<string, string>> = {
  "with length": (bytes) => ({ "Content-Length": String(bytes.byteLength) }),
  "with length and range": (bytes) => ({
    "Content-Length": String(bytes.byteLength),
    "Content-Range": `0-${bytes.byteLength - 1}`,
  }),
  "in chunks": () => ({ "Transfer-Encoding": "chunked" }),
};

for (const [what, headersOf] of Object.entries(framings)) {
  for (const sent of [1, 100_000, 5 * mebibyte + 600_000]) {
    test(`a PATCH ${what} that breaks off after ${sent} bytes keeps what it can, and goes on`, async () => {
      const bytes = content(sent + mebibyte);
      const headers = headersOf(bytes);
      const location = await registry.openUpload("known");
      const first = bytes.slice(0, sent);
      const isChunked = headers["Transfer-Encoding"] !== undefined;
      const framed = isChunked ? Buffer.concat([Buffer.from(`${sent.toString(16)}\r\n`), first]) : first;
      const request = await begin("PATCH", location, framed, headers);
      // On disk a part has no end before the request has, or is much larger.
      if (sent > mebibyte && bucketUnderTest.kind === "r2") {
        await until("the first part", async () => (await registry.uploadOffset(location)) > 0);
      }
      request.cut();
      const offset = await settledOffset(location);
      assert(offset <= sent, `${offset}`);
      const rest = bytes.slice(offset);
      const range = { "Content-Range": `${offset}-${bytes.byteLength - 1}` };
      const next = await registry.patch(location, rest, range);
      await registry.must(201, "PUT", `${next}?digest=${digestOf(bytes)}`);
      const pulled = await registry.must(200, "GET", `/v2/known/blobs/${digestOf(bytes)}`);
      assert.equal(digestOf(pulled.bytes), digestOf(bytes));
    });
  }
}

/** Where an upload stands once nobody writes to it. */
async function settledOffset(location: string): Promise<number> {
  let offset = -1;
  await until("the writer's end", async () => {
    const probe = await registry.send("PATCH", location, { body: "", headers: {} });
    if (probe.status === 409) return false;
    assert.equal(probe.status, 202, probe.text);
    offset = await registry.uploadOffset(probe.header("Location"));
    return true;
  });
  return offset;
}

test("a PATCH whose client half-closes too early is refused, and what came is kept", async () => {
  const bytes = content(10);
  const location = await registry.openUpload("known");
  const sent = Buffer.concat([Buffer.from(head("PATCH", location, { "Content-Length": "20" })), bytes]);
  const answer = await exchange(registry.url, sent, "half-close");
  assert(answer === undefined || answer.status === 400);
  const offset = await settledOffset(location);
  const next = await registry.patch(location, bytes.slice(offset));
  await registry.must(201, "PUT", `${next}?digest=${digestOf(bytes)}`);
});

test("a closing PUT that breaks off leaves an upload that goes on", async () => {
  const bytes = content(3 * mebibyte);
  const location = await registry.patch(await registry.openUpload("known"), bytes.slice(0, mebibyte));
  const headers = { "Content-Length": String(2 * mebibyte) };
  const target = `${location}?digest=${digestOf(bytes)}`;
  await leavesUnchanged(registry, async () => {
    const request = await begin("PUT", target, bytes.slice(mebibyte, 2 * mebibyte), headers);
    request.cut();
    await settledOffset(location);
  });
  const offset = await settledOffset(location);
  assert(offset >= mebibyte && offset <= 2 * mebibyte);
  await registry.must(201, "PUT", target, { body: bytes.slice(offset) });
});

test("of two writers at once, one is refused, and the other goes on", async () => {
  const bytes = content(20);
  const location = await registry.openUpload("known");
  const headers = { "Content-Length": "20" };
  const writer = await begin("PATCH", location, bytes.slice(0, 10), headers);
  const target = `${location}?digest=${digestOf(bytes)}`;
  // The registry hears of the writer first, as the other one is refused only then.
  await until("the writer to be heard", async () => {
    const probe = await registry.send("PATCH", location, {
      headers: { "Content-Range": "90-99" },
      body: content(10),
    });
    return probe.status === 409;
  });
  for (const [method, path] of [
    ["PATCH", location],
    ["PUT", target],
  ] as const) {
    expectError(
      await registry.send(method, path, { body: new ReadableStream({ start: (c) => c.close() }) }),
      409,
      "BLOB_UPLOAD_INVALID",
    );
  }
  await registry.must(204, "GET", location);
  await writer.write(bytes.slice(10));
  assert.equal((await writer.answer())?.status, 202);
  writer.cut();
  await registry.must(
    201,
    "PUT",
    (await registry.must(204, "GET", location)).header("Location") + target.slice(location.length),
  );
});

test("a cancellation ends whoever is writing", async () => {
  await leavesUnchanged(registry, async () => {
    const location = await registry.patch(await registry.openUpload("known"), content(10));
    const writer = await begin("PATCH", location, content(10), { "Content-Length": "20" });
    await registry.must(204, "DELETE", location);
    const answer = await writer.answer();
    assert(answer !== undefined);
    expectError(answer, 404, "BLOB_UPLOAD_UNKNOWN");
    writer.cut();
    expectError(await registry.send("GET", location), 404, "BLOB_UPLOAD_UNKNOWN");
  });
});

test("of many PATCHes of the same chunk at once, one is taken", async () => {
  const bytes = content(1000);
  const location = await registry.openUpload("known");
  const headers = { "Content-Range": "0-999" };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => registry.send("PATCH", location, { headers, body: bytes })),
  );
  const statuses = answers.map((answer) => answer.status).sort();
  assert.equal(statuses[0], 202, String(statuses));
  assert(
    statuses.slice(1).every((status) => status === 416 || status === 409),
    String(statuses),
  );
  const next = await registry.must(204, "GET", location);
  await registry.must(201, "PUT", `${next.header("Location")}?digest=${digestOf(bytes)}`);
});

test("a manifest that breaks off is not stored", async () => {
  const headers = { "Content-Type": imageManifestType, "Content-Length": String(image.manifest.byteLength) };
  await leavesUnchanged(registry, async () => {
    const request = await begin("PUT", "/v2/known/manifests/bad", image.manifest.slice(0, 100), headers);
    request.cut();
    await registry.must(404, "HEAD", "/v2/known/manifests/bad");
  });
});

test("a client that leaves before the answer, or in the middle of it, harms nobody else", async () => {
  await leavesUnchanged(registry, async () => {
    const targets = [`/v2/known/blobs/${layer}`, "/v2/known/manifests/latest", "/v2/_catalog"];
    for (let round = 0; round < 5; round++) {
      const leaving = targets.map((target) => new OpenRequest(registry.url, head("GET", target)));
      const staying = targets.map((target) => registry.must(200, "GET", target));
      for (const request of leaving) request.cut();
      await Promise.all(staying);
    }
  });
  await registry.pullImage("known", "latest", image);
});

test("a client that waits for 100 Continue is told to go on", async () => {
  const bytes = content();
  const target = `/v2/known/blobs/uploads/?digest=${digestOf(bytes)}`;
  const headers = { Expect: "100-continue", "Content-Length": String(bytes.byteLength) };
  const sent = Buffer.concat([Buffer.from(head("POST", target, headers)), bytes]);
  assert.equal((await exchange(registry.url, sent))?.status, 201);
});

test("a request whose body never comes holds up nobody else", async () => {
  const headers = { "Content-Length": "1000", "Content-Type": imageManifestType };
  const location = await registry.openUpload("known");
  const silent = [
    new OpenRequest(registry.url, head("PATCH", location, headers)),
    new OpenRequest(registry.url, head("PUT", "/v2/known/manifests/bad", headers)),
    new OpenRequest(
      registry.url,
      head("POST", `/v2/known/blobs/uploads/?digest=${unknownDigest()}`, headers),
    ),
    new OpenRequest(registry.url, "GET /v2/ HTTP/1.1\r\n"),
  ];
  await registry.pullImage("known", "latest", image);
  await registry.pushImage("known", "meanwhile");
  for (const request of silent) request.cut();
});

test("who is refused in the middle of a body sees why, and may send the rest", async () => {
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), content(mebibyte), Buffer.from("\r\n")]);
  const request = await begin("PATCH", await registry.openUpload("known"), chunk, {
    "Transfer-Encoding": "chunked",
    "Content-Range": "0-9",
  });
  for (let sent = 1; sent < 32; sent += 1) await request.write(chunk);
  await request.write(Buffer.from("0\r\n\r\n"));
  const answer = await request.answer();
  assert(answer !== undefined);
  expectError(answer, 400, "SIZE_INVALID");
});
