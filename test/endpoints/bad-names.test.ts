import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { content, digestOf, imageIndex, unknownDigest } from "../support/content.ts";
import { exchange, head } from "../support/raw.ts";
import { startRegistry } from "../support/registry.ts";
import { leavesUnchanged, replicaHas } from "../support/snapshot.ts";

const registry = await startRegistry();
const image = await registry.pushImage("known", "latest");
await replicaHas(registry, 4);

const badNames = [
  "A",
  "Known",
  "-a",
  "a-",
  "a..b",
  "a___b",
  "a//b",
  "/a",
  "a/",
  "a%252fb",
  "a%252Fb",
  "%2fa",
  "a%2F",
  "a%2f%2fb",
  "a%2f/b",
  "%61%2fb",
  "a%5cb",
  "..%2fknown",
  "known%2f..",
  "%6bnown",
  "a%00",
  "a%0a",
  "a%20b",
  "a+b",
  "a:b",
  "a@b",
  "a;b",
  "%ff",
  "%zz",
  "ä",
  "%C3%A4",
  "%D0%B0",
  "%E2%80%8B",
  "a".repeat(256),
  `${"a/".repeat(128)}a`,
  "a".repeat(8000),
];

test("a name outside the grammar is NAME_INVALID, at every endpoint", async () => {
  const digest = unknownDigest();
  const requests: [method: string, path: string][] = [
    ["GET", `blobs/${digest}`],
    ["DELETE", `blobs/${digest}`],
    ["POST", "blobs/uploads/"],
    ["POST", `blobs/uploads/?digest=${digest}`],
    ["PATCH", "blobs/uploads/session"],
    ["PUT", `blobs/uploads/session?digest=${digest}`],
    ["GET", "manifests/latest"],
    ["PUT", "manifests/latest"],
    ["DELETE", "manifests/latest"],
    ["GET", "tags/list"],
    ["GET", `referrers/${digest}`],
  ];
  await leavesUnchanged(registry, async () => {
    for (const name of badNames) {
      for (const [method, path] of name === "A" ? requests : requests.slice(-5)) {
        expectError(await registry.send(method, `/v2/${name}/${path}`), 400, "NAME_INVALID");
      }
    }
  });
});

test("a name outside the grammar is no source of a mount", async () => {
  await leavesUnchanged(registry, async () => {
    for (const name of badNames) {
      const path = `/v2/target/blobs/uploads/?mount=${image.config}&from=${encodeURIComponent(name)}`;
      expectError(await registry.send("POST", path), 400, "NAME_INVALID");
    }
  });
});

test("dot segments are resolved before anything looks at a name, and lead nowhere else", async () => {
  const paths: [target: string, status: number][] = [
    ["/v2/other/../known/manifests/latest", 200],
    ["/v2/other/%2e%2e/known/manifests/latest", 200],
    ["/v2/./known/manifests/latest", 200],
    ["/v2/known/../manifests/latest", 404],
    ["/v2/../../known/manifests/latest", 404],
    ["/v2/known/manifests/../../other/manifests/latest", 404],
    ["/v2/known/manifests/..%2flatest", 400],
  ];
  for (const [target, status] of paths) {
    const answer = await exchange(registry.url, head("GET", target));
    assert.equal(answer?.status, status, target);
  }
});

const badTags = [
  "-a",
  ".a",
  "a%2fb",
  "a%20b",
  "a+b",
  "a%00",
  "%ff",
  "%zz",
  "ä",
  "..%2f",
  "a@b",
  "a,b",
  "a".repeat(129),
];

test("a tag outside the grammar is refused in every method, and as a parameter", async () => {
  await leavesUnchanged(registry, async () => {
    for (const tag of badTags) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        expectError(await registry.send(method, `/v2/known/manifests/${tag}`), 400, "MANIFEST_INVALID");
      }
      const manifest = imageIndex([]);
      const reference = `${digestOf(manifest)}?tag=good&tag=${tag}`;
      expectError(await registry.putManifest("known", reference, manifest), 400, "MANIFEST_INVALID");
    }
  });
});

const unknownAlgorithms = [`sha384:${"a".repeat(96)}`, `md5:${"a".repeat(32)}`];

const badDigests = [
  "sha256:",
  "sha256:abc",
  `sha256:${"A".repeat(64)}`,
  `sha256:${"a".repeat(65)}`,
  `sha256:${"g".repeat(64)}`,
  `sha512:${"a".repeat(64)}`,
  `sha256%3A${"a".repeat(63)}`,
  `sha256:${"a".repeat(62)}%00`,
  `sha256:${"a".repeat(63)}ä`,
  `:${"a".repeat(64)}`,
  "a:b:c",
  `sha256:${"a".repeat(5000)}`,
];

test("a malformed digest, or one of an unknown algorithm, is DIGEST_INVALID wherever one is named", async () => {
  await leavesUnchanged(registry, async () => {
    for (const digest of [...badDigests, ...unknownAlgorithms]) {
      const location = await registry.openUpload("known");
      for (const [method, path] of [
        ["GET", `/v2/known/blobs/${digest}`],
        ["DELETE", `/v2/known/blobs/${digest}`],
        ["GET", `/v2/known/manifests/${digest}`],
        ["PUT", `/v2/known/manifests/${digest}`],
        ["DELETE", `/v2/known/manifests/${digest}`],
        ["POST", `/v2/known/blobs/uploads/?digest=${digest}`],
        ["POST", `/v2/known/blobs/uploads/?mount=${digest}&from=known`],
        ["PUT", `${location}?digest=${digest}`],
      ] as const) {
        const options = method === "PUT" || method === "POST" ? { body: content() } : {};
        expectError(await registry.send(method, path, options), 400, "DIGEST_INVALID");
      }
      await registry.must(204, "GET", location);
    }
    for (const digest of badDigests) {
      expectError(await registry.get(`/v2/known/referrers/${digest}`), 400, "DIGEST_INVALID");
    }
    // A subject may be of any algorithm: it need not be here.
    for (const digest of unknownAlgorithms) await registry.must(200, "GET", `/v2/known/referrers/${digest}`);
    expectError(
      await registry.send("POST", "/v2/known/blobs/uploads/?digest-algorithm=md5"),
      400,
      "DIGEST_INVALID",
    );
    expectError(await registry.send("PUT", await registry.openUpload("known")), 400, "DIGEST_INVALID");
    expectError(await registry.get("/v2/known/blobs/latest"), 400, "DIGEST_INVALID");
  });
});

const notHttp: [what: string, bytes: string][] = [
  ["HTTP/1.0", "GET /v2/ HTTP/1.0\r\n\r\n"],
  ["a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ["no Host", "GET /v2/ HTTP/1.1\r\n\r\n"],
  ["an unknown method", head("BREW", "/v2/")],
  ["NUL in the path", head("GET", "/v2/a\0b/tags/list")],
  ["a control character in a header", head("GET", "/v2/", { "X-A": "a\x01\0b" })],
  ["a header line without a colon", `GET /v2/ HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n`],
  ["a header of 300 KB", head("GET", "/v2/", { "X-A": "a".repeat(300_000) })],
  ["a path of 300 KB", head("GET", `/v2/${"a".repeat(300_000)}/tags/list`)],
  ["a negative Content-Length", head("PUT", "/v2/known/manifests/bad", { "Content-Length": "-1" })],
  ["two values of Content-Length", head("PUT", "/v2/known/manifests/bad", { "Content-Length": "1, 2" })],
  ["a target that is a URL", head("GET", "http://elsewhere.example/v2/")],
  ["a target that is no path", head("OPTIONS", "*")],
];

test("what is not HTTP as it should be is refused before the registry sees it, or by it", async () => {
  await leavesUnchanged(registry, async () => {
    for (const [what, bytes] of notHttp) {
      const answer = await exchange(registry.url, Buffer.from(bytes, "latin1"), "half-close");
      assert(answer === undefined || answer.status >= 400, `${what}: ${answer?.status}`);
    }
  });
  await registry.must(200, "GET", "/v2/");
});

test("large but lawful headers are none of the registry's business", async () => {
  const answer = await exchange(registry.url, head("GET", "/v2/", { "X-A": "a".repeat(30_000) }));
  assert.equal(answer?.status, 200);
  for (const name of ["Accept", "If-None-Match", "Range", "Authorization"]) {
    const headers = { [name]: `"${"x".repeat(20_000)}"` };
    const response = await registry.get("/v2/known/manifests/latest", headers);
    assert.equal(response.status, 200, name);
  }
});
