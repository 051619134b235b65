import assert from "node:assert/strict";
import test from "node:test";
import { type BlobSource, pushBlob } from "../../../src/client/push-blob.ts";
import { RemoteRepository } from "../../../src/client/repository.ts";
import { minChunkBytes } from "../../../src/client/upload.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../../src/oci/reference.ts";
import { content } from "../../support/content.ts";
import { answer, fakeRegistry, transportTo } from "./fake-registry.ts";
import { type Trouble, UploadRegistry } from "./upload-registry.ts";

const defaultChunkBytes = 1000;

function sourceOf(bytes: Uint8Array): () => Promise<BlobSource> {
  return async () => ({
    size: bytes.byteLength,
    read: async (buffer, offset) => {
      const some = bytes.subarray(offset, offset + buffer.byteLength);
      buffer.set(some);
      return some.byteLength;
    },
  });
}

async function push(
  registry: UploadRegistry,
  bytes: Uint8Array,
  digest: Digest = digestOfContent(bytes, "sha256"),
  chunkBytes = defaultChunkBytes,
) {
  const server = await registry.start();
  const { transport, timing } = transportTo(server);
  const repository = new RemoteRepository(transport, "team/app" as RepositoryName, ["pull", "push"]);
  let acknowledged = 0;
  const onBytes = (count: number) => {
    acknowledged += count;
  };
  const outcome = await pushBlob(repository, digest, sourceOf(bytes), { chunkBytes, onBytes }).then(
    (done) => ({ done, error: undefined }),
    (error: Error) => ({ done: undefined, error }),
  );
  return { ...outcome, acknowledged, timing, server, stored: registry.blobs.get(digest) };
}

const sizes: [size: number, chunks: string[]][] = [
  [0, ["PUT -"]],
  [1, ["PUT -"]],
  [1000, ["PUT -"]],
  [1001, ["PATCH 0-999", "PUT 1000-1000"]],
  [2000, ["PATCH 0-999", "PUT 1000-1999"]],
  [2500, ["PATCH 0-999", "PATCH 1000-1999", "PUT 2000-2499"]],
];

for (const [size, chunks] of sizes) {
  test(`a blob of ${size} bytes is sent in chunks of 1000, the last one with its digest`, async () => {
    const registry = new UploadRegistry();
    const bytes = content(size);
    const { done, stored, acknowledged } = await push(registry, bytes);
    assert.equal(done, "sent");
    assert.deepEqual(registry.chunks, chunks);
    assert.deepEqual(stored, Buffer.from(bytes));
    assert.equal(acknowledged, size);
  });
}

test("chunks are as long as the registry wants them at least", async () => {
  const registry = new UploadRegistry(1500);
  await push(registry, content(2500));
  assert.deepEqual(registry.chunks, ["PATCH 0-1499", "PUT 1500-2499"]);
});

const troubles: [what: string, trouble: Trouble[], repeatedBytes: number][] = [
  ["a cut before the first byte is kept", [{ kind: "cut", keeps: 0 }], 1000],
  ["a cut after some bytes", [{ kind: "cut", keeps: 700 }], 300],
  ["an answer that is lost", [{ kind: "lost-answer" }], 0],
  ["503", [{ kind: "status", status: 503 }], 1000],
  ["429 with Retry-After", [{ kind: "status", status: 429, headers: { "Retry-After": "2" } }], 1000],
  ["408 after some bytes", [{ kind: "status", status: 408, keeps: 400 }], 600],
  ["409, as another writer is still there", [{ kind: "status", status: 409 }], 1000],
  ["409 with its code", [{ kind: "status", status: 409, code: "BLOB_UPLOAD_INVALID" }], 1000],
  ["202 for a part", [{ kind: "status", status: 202, keeps: 250 }], 750],
  ["many cuts in one chunk", Array.from({ length: 20 }, () => ({ kind: "cut", keeps: 10 }) as const), 0],
];

for (const [what, trouble, repeatedBytes] of troubles) {
  test(`${what} is got over, and only what is missing is sent again`, async () => {
    const registry = new UploadRegistry();
    registry.trouble.push(...trouble);
    const bytes = content(2500);
    const { done, error, stored, acknowledged } = await push(registry, bytes);
    assert.equal(done, "sent", String(error));
    assert.deepEqual(stored, Buffer.from(bytes));
    assert.equal(acknowledged, 2500);
    if (repeatedBytes > 0) assert.equal(registry.received - 2500, repeatedBytes);
  });
}

const miscounts: [what: string, counts: UploadRegistry["counts"], chunks: string[]][] = [
  [
    "stays that of the first chunk, as ECR's",
    (_, length) => Math.min(length, 1000),
    ["PATCH 0-999", "PATCH 1000-1999", "PATCH 1000-1999", "PATCH 2000-2999", "PUT 3000-3499"],
  ],
  [
    "is that of the last chunk, as zot's was",
    (method, length) => (method === "GET" ? length : Math.min(length, 1000)),
    ["PATCH 0-999", "PATCH 1000-1999", "PATCH 2000-2999", "PUT 3000-3499"],
  ],
  [
    "is too small, where nothing else says it",
    (method, length) => (method === "GET" ? undefined : Math.min(length, 1)),
    ["PATCH 0-999", "PATCH 1000-1999", "PATCH 2000-2999", "PUT 3000-3499"],
  ],
  [
    "goes back",
    (_, length) => (length < 2000 ? length : 500),
    ["PATCH 0-999", "PATCH 1000-1999", "PATCH 2000-2999", "PUT 3000-3499"],
  ],
];

for (const [what, counts, chunks] of miscounts) {
  test(`a blob is sent whole where the Range of its upload ${what}`, async () => {
    const registry = new UploadRegistry();
    registry.counts = counts;
    const bytes = content(3500);
    const { done, error, stored } = await push(registry, bytes);
    assert.equal(done, "sent", String(error));
    assert.deepEqual([registry.chunks, stored], [chunks, Buffer.from(bytes)]);
  });
}

const mebibyte = 1024 * 1024;
const limits: [what: string, refuses: UploadRegistry["refuses"], chunk: number, chunks: string[]][] = [
  [
    "takes a blob in one request, and chunks of 4 MiB",
    (bytes, isChunk) => (isChunk && bytes > 4 * mebibyte ? 416 : undefined),
    10,
    ["PUT -"],
  ],
  [
    "takes chunks of 4 MiB",
    (bytes, isChunk) => (isChunk && bytes > 4 * mebibyte ? 416 : undefined),
    5,
    ["PATCH 0-5242879", "PATCH 0-4194303", "PATCH 4194304-5242879", "PUT 5242880-9437183"],
  ],
  [
    "takes 4 MiB in a request",
    (bytes) => (bytes > 4 * mebibyte ? 413 : undefined),
    10,
    ["PUT -", "PATCH 0-4194303", "PATCH 4194304-5242879", "PUT 5242880-9437183"],
  ],
];

test("chunks become smaller also where the answer to the first one is lost", async () => {
  const registry = new UploadRegistry();
  registry.refuses = (bytes, isChunk) => (isChunk && bytes > 4 * mebibyte ? 416 : undefined);
  registry.trouble.push({ kind: "cut", keeps: mebibyte });
  const bytes = content(9 * mebibyte);
  const { done, error, stored } = await push(registry, bytes, undefined, 10 * mebibyte);
  assert.equal(done, "sent", String(error));
  assert.deepEqual(registry.chunks, [
    "PUT -",
    "PUT 1048576-9437183",
    "PATCH 1048576-5242879",
    "PUT 5242880-9437183",
  ]);
  assert.deepEqual(stored, Buffer.from(bytes));
});

for (const [what, refuses, chunk, chunks] of limits) {
  test(`a blob of 9 MiB is sent to a registry that ${what}`, async () => {
    const registry = new UploadRegistry();
    registry.refuses = refuses;
    const bytes = content(9 * mebibyte);
    const { done, error, acknowledged } = await push(registry, bytes, undefined, chunk * mebibyte);
    assert.equal(done, "sent", String(error));
    assert.deepEqual([registry.chunks, acknowledged], [chunks, bytes.byteLength]);
  });
}

test("chunks do not become smaller where bytes arrive after the connection has ended", async () => {
  const registry = new UploadRegistry();
  registry.trouble.push({ kind: "late", keeps: mebibyte });
  const bytes = content(9 * mebibyte);
  const { done, error, stored } = await push(registry, bytes, undefined, 8 * mebibyte);
  assert.equal(done, "sent", String(error));
  assert.deepEqual(registry.chunks, ["PATCH 0-8388607", "PATCH 1048576-8388607", "PUT 8388608-9437183"]);
  assert.deepEqual(stored, Buffer.from(bytes));
});

// A runtime, or a server in between, may send a request again that had arrived in part: 416 is about its offset then.
for (const [chunk, chunks] of [
  [8, ["PATCH 0-8388607", "PATCH 0-4194303", "PATCH 6291456-8388607", "PUT 8388608-9437183"]],
  [10, ["PUT -", "PATCH 0-4194303", "PUT 6291456-9437183"]],
] as const) {
  test(`a request of ${chunk} MiB at most that was refused and had arrived in part is gone on from there`, async () => {
    const registry = new UploadRegistry();
    registry.trouble.push({ kind: "status", status: 416, keeps: 6 * mebibyte });
    const bytes = content(9 * mebibyte);
    const { done, error, stored } = await push(registry, bytes, undefined, chunk * mebibyte);
    assert.equal(done, "sent", String(error));
    assert.deepEqual(registry.chunks, chunks);
    assert.deepEqual(stored, Buffer.from(bytes));
  });
}

test("a lost answer to the last request is not a failure: the blob is there", async () => {
  const registry = new UploadRegistry();
  registry.trouble.push({ kind: "lost-answer" }, { kind: "lost-answer" });
  const { done, error } = await push(registry, content(1500));
  assert.equal(done, "sent", String(error));
  assert.deepEqual(registry.chunks, ["PATCH 0-999", "PUT 1000-1499"]);
});

const refusals: [status: number, tries: number, message: RegExp][] = [
  [400, 1, /does not answer as a registry/],
  [404, 1, /does not answer as a registry/],
  [405, 1, /does not take uploads in chunks: /],
  [413, 1, /takes no body of this size/],
  [416, 8, /does not take uploads in chunks: /],
  [507, 1, /answers with status 507/],
  [503, 8, /answers with status 503/],
];

for (const [status, tries, message] of refusals) {
  test(`${status} to a chunk ends the push after ${tries} tries, and gives the upload up`, async () => {
    const registry = new UploadRegistry();
    for (let n = 0; n < 20; n++) registry.trouble.push({ kind: "status", status });
    const { done, error, server } = await push(registry, content(2500));
    assert.equal(done, undefined);
    assert.match(error?.message ?? "", message);
    assert.match(error?.message ?? "", /^blob sha256:/);
    assert.equal(registry.chunks.length, tries);
    assert(server.paths().at(-1)?.startsWith("DELETE "));
  });
}

test("a conflict that does not pass ends the push at once, with the registry's words", async () => {
  const registry = new UploadRegistry();
  registry.trouble.push({ kind: "status", status: 409, code: "DENIED" });
  const { error } = await push(registry, content(2500));
  assert.match(error?.message ?? "", /^blob sha256:\w+: refused$/);
  assert.equal(registry.chunks.length, 1);
});

test("bytes that are not those of the digest are refused by the registry", async () => {
  const { error } = await push(new UploadRegistry(), content(1500), digestOfContent(content(3), "sha256"));
  assert.match(error?.message ?? "", /not its digest$/);
});

test("a source that ends early ends the push", async () => {
  const registry = new UploadRegistry();
  const { transport } = transportTo(await registry.start());
  const repository = new RemoteRepository(transport, "team/app" as RepositoryName, ["pull", "push"]);
  let isClosed = false;
  const open = async (): Promise<BlobSource> => ({
    size: 2500,
    read: async (buffer, offset) => Math.min(buffer.byteLength, 1700 - offset),
    close: async () => {
      isClosed = true;
    },
  });
  const pushed = pushBlob(repository, digestOfContent(content(3), "sha256"), open, {
    chunkBytes: defaultChunkBytes,
  });
  await assert.rejects(pushed, { kind: "broken", message: /its bytes end after 1700 of 2500$/ });
  assert(isClosed);
});

test("an upload whose bytes cannot be had is given up", async () => {
  const server = await new UploadRegistry().start();
  const { transport } = transportTo(server);
  const repository = new RemoteRepository(transport, "team/app" as RepositoryName, ["pull", "push"]);
  const open = () => Promise.reject(new Error("no such file"));
  await assert.rejects(pushBlob(repository, digestOfContent(content(3), "sha256"), open), /no such file/);
  assert.match(server.paths().at(-1) ?? "", /^DELETE .*\/uploads\/1\?/);
});

test("an upload without an address is none", async () => {
  const server = await fakeRegistry(({ method }, response) =>
    answer(response, method === "POST" ? 202 : 200),
  );
  const { transport } = transportTo(server);
  const repository = new RemoteRepository(transport, "team/app" as RepositoryName, ["pull", "push"]);
  const pushed = pushBlob(repository, digestOfContent(content(3), "sha256"), sourceOf(content(3)));
  await assert.rejects(pushed, { kind: "foreign", status: 202 });
  assert.deepEqual(server.paths(), ["GET /v2/", "POST /v2/team/app/blobs/uploads/"]);
});

test("what a registry wants at least for a chunk has a bound, as it is held in memory", () => {
  const wanted = (value: string) =>
    minChunkBytes({ headers: new Headers({ "OCI-Chunk-Min-Length": value }) });
  assert.deepEqual(["5242880", "999999999999999", "-1"].map(wanted), [5_242_880, 268_435_456, 0]);
});
