import assert from "node:assert/strict";
import test from "node:test";
import { type Answer, expectError } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { content, digestOf, mebibyte, streamOf, unknownDigest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { leavesUnchanged } from "../support/snapshot.ts";

const registry = await startRegistry();
const known = await registry.pushBlob("known", content());
await registry.pushBlob("other", content());

/** A session that has received these bytes. */
async function startedUpload(bytes: Uint8Array): Promise<string> {
  return registry.patch(await registry.openUpload("known"), bytes);
}

type ChunkRow = [what: string, range: string | undefined, body: Uint8Array | ReadableStream<Uint8Array>];

const ten = content(10);
const outOfOrder: ChunkRow[] = [
  ["before the beginning of the rest", "5-14", ten],
  ["what was sent already", "0-9", ten],
  ["past the end", "11-20", ten],
  ["far past the end", "999999999999-1000000000008", ten],
  ["of unknown length, past the end", "20-29", streamOf(ten)],
  ["of several MiB, past the end", `20-${20 + 8 * mebibyte - 1}`, content(8 * mebibyte)],
];

for (const method of ["PATCH", "PUT"]) {
  for (const [what, range, body] of outOfOrder) {
    test(`a chunk (${method}) ${what} is 416 with where the upload stands, and it goes on`, async () => {
      const first = content(10);
      const location = await startedUpload(first);
      const target = method === "PUT" ? `${location}?digest=${unknownDigest()}` : location;
      const chunk = body instanceof ReadableStream ? streamOf(ten) : body;
      const headers = { "Content-Range": range ?? "" };
      const refused = await leavesUnchanged(registry, () =>
        registry.send(method, target, { headers, body: chunk }),
      );
      const { detail } = expectError(refused, 416, "BLOB_UPLOAD_INVALID");
      assert.deepEqual(detail, { offset: 10 });
      assert.equal(refused.header("Range"), "0-9");
      const whole = new Uint8Array([...first, ...ten]);
      const next = await registry.patch(refused.header("Location"), ten, { "Content-Range": "10-19" });
      await registry.must(201, "PUT", `${next}?digest=${digestOf(whole)}`);
    });
  }
}

test("the first chunk begins at zero", async () => {
  const location = await registry.openUpload("known");
  const refused = await registry.send("PATCH", location, {
    headers: { "Content-Range": "10-19" },
    body: ten,
  });
  expectError(refused, 416, "BLOB_UPLOAD_INVALID");
  assert.equal(refused.header("Range"), "0-0");
  await registry.patch(refused.header("Location"), ten, { "Content-Range": "0-9" });
});

const lies: [
  what: string,
  range: string,
  body: () => Uint8Array | ReadableStream<Uint8Array>,
  code: string,
][] = [
  ["a range longer than its length", "0-10", () => ten, "SIZE_INVALID"],
  ["a range shorter than its length", "0-8", () => ten, "SIZE_INVALID"],
  ["a range longer than what comes", "0-10", () => streamOf(ten), "SIZE_INVALID"],
  ["a range shorter than what comes", "0-8", () => streamOf(ten), "SIZE_INVALID"],
  ["a range and no bytes", "0-9", () => streamOf(), "SIZE_INVALID"],
  ["a range that ends before it begins", "9-0", () => ten, "BLOB_UPLOAD_INVALID"],
  ["a range that is none", "all", () => ten, "BLOB_UPLOAD_INVALID"],
  ["several ranges", "0-4,5-9", () => ten, "BLOB_UPLOAD_INVALID"],
  ["a negative range", "-10--1", () => ten, "BLOB_UPLOAD_INVALID"],
];

for (const [what, range, body, code] of lies) {
  test(`${what} is refused, in PATCH and in PUT, and nothing is stored as complete`, async () => {
    await leavesUnchanged(registry, async () => {
      for (const location of [await registry.openUpload("known"), await startedUpload(new Uint8Array())]) {
        const options = () => ({ headers: { "Content-Range": range }, body: body() });
        expectError(await registry.send("PATCH", location, options()), 400, code);
        const whole = `?digest=${digestOf(ten)}`;
        const fresh = await registry.openUpload("known");
        expectError(await registry.send("PUT", fresh + whole, options()), 400, code);
        expectError(await registry.send("POST", `/v2/known/blobs/uploads/${whole}`, options()), 400, code);
      }
      await registry.must(404, "HEAD", `/v2/known/blobs/${digestOf(ten)}`);
    });
  });
}

type Push = (digest: string, bytes: Uint8Array) => Promise<Answer>;

const wrongPushes: Record<string, Push> = {
  "a single POST": (digest, body) =>
    registry.send("POST", `/v2/known/blobs/uploads/?digest=${digest}`, { body }),
  "a single POST without length": (digest, bytes) =>
    registry.send("POST", `/v2/known/blobs/uploads/?digest=${digest}`, { body: streamOf(bytes) }),
  "POST, then PUT": async (digest, body) =>
    registry.send("PUT", `${await registry.openUpload("known")}?digest=${digest}`, { body }),
  "a PATCH, then PUT": async (digest, bytes) =>
    registry.send("PUT", `${await startedUpload(bytes)}?digest=${digest}`),
};

for (const [how, push] of Object.entries(wrongPushes)) {
  for (const size of [0, 1000, 6 * mebibyte]) {
    test(`${size} bytes that are not what their digest says are DIGEST_INVALID: ${how}`, async () => {
      for (const algorithm of size > mebibyte ? (["sha512"] as const) : (["sha256", "sha512"] as const)) {
        const [bytes, digest] = [content(size), unknownDigest(algorithm)];
        const refused = await leavesUnchanged(registry, () => push(digest, bytes));
        expectError(refused, 400, "DIGEST_INVALID");
        await registry.must(404, "HEAD", `/v2/known/blobs/${digest}`);
        await registry.must(404, "HEAD", `/v2/known/blobs/${digestOf(bytes, algorithm)}`);
      }
    });
  }
}

test("a session that was closed with a wrong digest is gone, if it had received bytes", async () => {
  const location = await startedUpload(ten);
  expectError(await registry.send("PUT", `${location}?digest=${unknownDigest()}`), 400, "DIGEST_INVALID");
  for (const method of ["GET", "PATCH", "DELETE"]) expectUnknown(await registry.send(method, location));
});

function expectUnknown(answer: Answer): void {
  expectError(answer, 404, "BLOB_UPLOAD_UNKNOWN");
}

async function everyMethod(location: string, use: (answer: Answer) => void): Promise<void> {
  const bytes = content(10);
  const requests: [method: string, target: string, options?: RequestOptions][] = [
    ["GET", location],
    ["PATCH", location, { body: bytes }],
    ["PATCH", location, { body: streamOf(bytes) }],
    ["PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes }],
    ["PUT", `${location}?digest=${digestOf(bytes)}`, { body: streamOf(bytes) }],
    ["PUT", `${location}?digest=${digestOf(bytes)}`],
    ["DELETE", location],
  ];
  for (const [method, target, options] of requests) use(await registry.send(method, target, options));
}

const sessions: Record<string, () => Promise<string>> = {
  "is made up": async () => "/v2/known/blobs/uploads/made-up",
  "is a UUID": async () => `/v2/known/blobs/uploads/${crypto.randomUUID()}`,
  "is forged": async () => `${(await registry.openUpload("known")).slice(0, -4)}AAAA`,
  "has another's id": async () => {
    const [mine, theirs] = [await registry.openUpload("known"), await registry.openUpload("known")];
    return theirs.replace(/[0-9a-f-]{36}/, /[0-9a-f-]{36}/.exec(mine)?.[0] ?? "");
  },
  "is of another repository": async () =>
    (await registry.openUpload("other")).replace("/v2/other/", "/v2/known/"),
  "has received bytes in another repository": async () =>
    (await registry.patch(await registry.openUpload("other"), ten)).replace("/v2/other/", "/v2/known/"),
  "claims to have begun": async () => (await registry.openUpload("known")).replace(/\.an\./, ".as."),
  "was cancelled": async () => {
    const location = await startedUpload(ten);
    await registry.must(204, "DELETE", location);
    return location;
  },
  "is longer than any": async () => `/v2/known/blobs/uploads/${"a".repeat(5000)}`,
  "is full of traps": async () => "/v2/known/blobs/uploads/%00%2f..%27%22;",
};

for (const [what, makeLocation] of Object.entries(sessions)) {
  test(`a session that ${what} is BLOB_UPLOAD_UNKNOWN in every method`, async () => {
    const location = await makeLocation();
    await leavesUnchanged(registry, () => everyMethod(location, expectUnknown));
  });
}

test("bytes for a cancelled session that had received none are not taken either", async () => {
  const location = await registry.openUpload("known");
  await registry.must(204, "DELETE", location);
  await everyMethod(location, expectUnknown);
});

test("a finished session is unknown, but its closing PUT may be repeated", async () => {
  const bytes = content(10);
  const digest = digestOf(bytes);
  const started = await startedUpload(bytes);
  const whole = await registry.openUpload("known");
  await registry.must(201, "PUT", `${started}?digest=${digest}`);
  await registry.must(201, "PUT", `${whole}?digest=${digest}`, { body: bytes });
  await leavesUnchanged(registry, async () => {
    for (const location of [started, whole]) {
      for (const method of ["GET", "PATCH", "DELETE"]) expectUnknown(await registry.send(method, location));
      expectUnknown(await registry.send("PUT", `${location}?digest=${known}`));
    }
    const repeated = await registry.must(201, "PUT", `${started}?digest=${digest}`);
    assert.equal(repeated.header("Location"), `/v2/known/blobs/${digest}`);
  });
  await registry.must(201, "PUT", `${whole}?digest=${digest}`, { body: bytes });
});

test("a session that took its blob as one body after a refused chunk has ended too", async () => {
  const location = await registry.openUpload("known");
  const headers = { "Content-Range": "5-14" };
  await registry.must(416, "PATCH", location, { headers, body: ten });
  await registry.must(201, "PUT", `${location}?digest=${digestOf(ten)}`, { body: ten });
  for (const method of ["GET", "PATCH", "DELETE"]) expectUnknown(await registry.send(method, location));
});

test("a session that nothing came of leaves no repository behind", async () => {
  await leavesUnchanged(registry, async () => {
    const cancelled = await registry.patch(await registry.openUpload("fresh/cancelled"), ten);
    await registry.must(204, "DELETE", cancelled);
    await registry.must(204, "DELETE", await registry.openUpload("fresh/unused"));
    const failed = await registry.patch(await registry.openUpload("fresh/failed"), ten);
    expectError(await registry.send("PUT", `${failed}?digest=${unknownDigest()}`), 400, "DIGEST_INVALID");
    for (const name of ["fresh/cancelled", "fresh/unused", "fresh/failed"]) {
      expectError(await registry.get(`/v2/${name}/tags/list`), 404, "NAME_UNKNOWN");
    }
  });
});
