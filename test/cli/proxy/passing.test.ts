import assert from "node:assert/strict";
import test from "node:test";
import { Addresses } from "../../../src/cli/proxy/addresses.ts";
import { ChunkBuffers } from "../../../src/cli/proxy/buffers.ts";
import { basicAuthorization } from "../../../src/client/credentials.ts";
import { imageManifestType } from "../../../src/oci/media-type.ts";
import { configType, content, describe, digestOf, imageManifest, layerType } from "../../support/content.ts";
import { exchange } from "../../support/raw.ts";
import { startRegistry } from "../../support/registry.ts";
import { answer, fakeRegistry } from "../../unit/client/fake-registry.ts";
import { send, startProxy } from "./support.ts";

const password = "correct horse battery";

test("what is pushed and pulled through a proxy with credentials is the registry's, and clients need none", async () => {
  const registry = await startRegistry({ vars: { ADMIN_PASSWORD: password } });
  const credential = { kind: "password", username: "admin", password } as const;
  const { host } = await startProxy(new URL(registry.url), { chunkBytes: 64 * 1024, credential });
  const [layer, config] = [content(300_000), content(100)];
  for (const blob of [layer, config]) {
    const opened = await send(host, "POST", "/v2/team/app/blobs/uploads/");
    const put = `${opened.headers.location}?digest=${digestOf(blob)}`;
    assert.equal((await send(host, "PUT", put, { body: blob })).status, 201);
  }
  const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);
  const headers = { "Content-Type": imageManifestType };
  const stored = await send(host, "PUT", "/v2/team/app/manifests/v1", { headers, body: manifest });
  assert.equal(stored.status, 201, stored.text);
  assert(stored.headers.location?.startsWith(`http://${host}/v2/team/app/manifests/sha256:`));

  const pulled = await send(host, "GET", `/v2/team/app/blobs/${digestOf(layer)}`);
  assert.deepEqual(pulled.bytes, Buffer.from(layer));
  const part = await send(host, "GET", `/v2/team/app/blobs/${digestOf(layer)}`, {
    headers: { Range: "bytes=5-9" },
  });
  assert.deepEqual([part.status, part.bytes], [206, Buffer.from(layer.subarray(5, 10))]);
  const head = await send(host, "HEAD", "/v2/team/app/manifests/v1");
  assert.deepEqual([head.status, head.headers["content-length"]], [200, String(manifest.byteLength)]);
  const etag = String(head.headers.etag);
  assert.equal(
    (await send(host, "GET", "/v2/team/app/manifests/v1", { headers: { "If-None-Match": etag } })).status,
    304,
  );
  const mount = `/v2/team/other/blobs/uploads/?mount=${digestOf(layer)}&from=team/app`;
  assert.equal((await send(host, "POST", mount)).status, 201);
  const tags = await send(host, "GET", "/v2/team/app/tags/list?n=0");
  assert.deepEqual(JSON.parse(tags.text).tags, []);
  const unknown = await send(host, "GET", "/v2/team/app/manifests/none");
  assert.deepEqual([unknown.status, JSON.parse(unknown.text).errors[0].code], [404, "MANIFEST_UNKNOWN"]);
});

test("without credentials challenges go to clients, and what they show to the registry", async () => {
  const registry = await startRegistry({ vars: { ADMIN_PASSWORD: password } });
  const { host } = await startProxy(new URL(registry.url));
  const challenged = await send(host, "GET", "/v2/");
  assert.equal(challenged.status, 401);
  const [, realm] = /realm="([^"]+)"/.exec(String(challenged.headers["www-authenticate"])) ?? [];
  assert.equal(new URL(String(realm)).origin, new URL(registry.url).origin);
  const Authorization = basicAuthorization("admin", password);
  assert.equal((await send(host, "GET", "/v2/", { headers: { Authorization } })).status, 200);
  const opened = await send(host, "POST", "/v2/a/blobs/uploads/", { headers: { Authorization } });
  const bytes = content(2500);
  const put = `${opened.headers.location}?digest=${digestOf(bytes)}`;
  assert.equal((await send(host, "PUT", put, { body: bytes })).status, 401);
  assert.equal((await send(host, "PUT", put, { body: bytes, headers: { Authorization } })).status, 201);
});

test("what a client shows itself comes before the credentials of the proxy", async () => {
  const registry = await fakeRegistry((_, response) => answer(response, 200));
  const credential = { kind: "bearer", token: "own" } as const;
  const { host } = await startProxy(registry.url, { credential });
  await send(host, "GET", "/v2/", { headers: { Authorization: "Bearer theirs" } });
  assert.deepEqual(
    registry.seen.map(({ authorization }) => authorization),
    ["Bearer theirs"],
  );
});

test("headers of the connection stay there; those of the registry have the proxy's address in them", async () => {
  const registry = await fakeRegistry(({ path }, response) => {
    if (path.startsWith("/below/v2/away"))
      return answer(response, 307, { Location: "https://store.example.org/x?y=z" });
    if (path.startsWith("/below/v2/own"))
      return answer(response, 302, { Location: "/below/v2/other?a=%20b" });
    if (path.startsWith("/below/v2/page")) {
      return answer(response, 200, {
        Link: '</below/v2/page?last=a>; rel="next"',
        Connection: "X-Hop",
        "X-Hop": "1",
      });
    }
    answer(response, 200, { "X-Path": path });
  });
  const { host } = await startProxy(new URL("/below/", registry.url));
  const away = await send(host, "GET", "/v2/away");
  assert.deepEqual([away.status, away.headers.location], [307, "https://store.example.org/x?y=z"]);
  const own = await send(host, "GET", "/v2/own");
  assert.deepEqual([own.status, own.headers.location], [302, `http://${host}/v2/other?a=%20b`]);
  const page = await send(host, "GET", "/v2/page", {
    headers: { Connection: "X-Mine", "X-Mine": "1", "X-Passed": "1", "Accept-Encoding": "gzip" },
  });
  assert.equal(page.headers.link, `<http://${host}/v2/page?last=a>; rel="next"`);
  assert.equal(page.headers["x-hop"], undefined);
  const seen = registry.seen.at(-1)?.request.headers;
  assert.deepEqual(
    [seen?.["x-mine"], seen?.["x-passed"], seen?.["accept-encoding"]],
    [undefined, "1", "identity"],
  );
  assert.equal((await send(host, "GET", "/v2/a/../b?x=%2F&y")).headers["x-path"], "/below/v2/b?x=%2F&y");
});

test("addresses of the registry are the proxy's, however they are written, and those of others are not", () => {
  const addresses = new Addresses(new URL("https://registry.example.org/"));
  const base = new URL("https://registry.example.org/v2/a/blobs/uploads/");
  const own = "http://127.0.0.1:5001";
  const cases: [string, string][] = [
    ["/v2/a/blobs/uploads/1?_state=a%3D", `${own}/v2/a/blobs/uploads/1?_state=a%3D`],
    ["1", `${own}/v2/a/blobs/uploads/1`],
    ["https://registry.example.org/v2/x", `${own}/v2/x`],
    ["http://registry.example.org/v2/x", `${own}/v2/x`],
    ["https://registry.example.org:444/v2/x", "https://registry.example.org:444/v2/x"],
    ["https://store.example.org/v2/x", "https://store.example.org/v2/x"],
  ];
  for (const [given, expected] of cases)
    assert.equal(addresses.downstream(given, base, own), expected, given);
  assert.equal(addresses.upstream("//evil.example.org/v2/").origin, "https://registry.example.org");
});

test("what a page in a browser sends, or comes by a name of others, is refused", async () => {
  const registry = await fakeRegistry((_, response) => answer(response, 200));
  const { host } = await startProxy(registry.url);
  const refused: Record<string, string>[] = [
    { Origin: "https://evil.example.org" },
    { Origin: "null" },
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { Host: "evil.example.org" },
    { Host: "127.0.0.1.evil.example.org:5001" },
  ];
  for (const headers of refused) {
    const { status, text } = await send(host, "POST", "/v2/a/blobs/uploads/", { headers });
    assert.deepEqual([status, JSON.parse(text).errors[0].code], [403, "DENIED"], JSON.stringify(headers));
  }
  assert.equal(registry.seen.length, 0);
  assert.equal((await send(host, "GET", "/v2/", { headers: { Host: "localhost:5001" } })).status, 200);
  const remote = await startProxy(registry.url, { isRemote: true });
  assert.equal(
    (await send(remote.host, "GET", "/v2/", { headers: { Host: "push.example.org" } })).status,
    200,
  );
});

test("there is nothing but the registry's API, and no body but uploads may be large", async () => {
  const registry = await fakeRegistry((_, response) => answer(response, 200));
  const { host } = await startProxy(registry.url);
  for (const path of ["/", "/api/v1/accounts", "/token", "/v2x"]) {
    assert.equal((await send(host, "GET", path)).status, 404, path);
  }
  const body = new Uint8Array(16 * 1024 * 1024 + 1);
  assert.equal((await send(host, "PUT", "/v2/a/manifests/v1", { body })).status, 413);
  assert.equal((await send(host, "PUT", "/v2/a/manifests/v1", { pieces: [body] })).status, 413);
  assert.equal(registry.seen.length, 0);
});

test("no path leads out of the registry's API with the credentials of the proxy", async () => {
  const registry = await fakeRegistry((_, response) => answer(response, 200));
  const credential = { kind: "password", username: "admin", password } as const;
  const { host } = await startProxy(new URL("/below", registry.url), { credential });
  const paths = [
    "/v2/../api/v1/accounts",
    "/v2/../../api/v1/accounts",
    "/v2/a/%2e%2E/%2e./api/v1/accounts",
    "/v2/..\\api\\v1\\accounts",
    "/v2/..%2Fapi/v1/accounts",
    "/v2/a%2f..%5c..%2fapi%2fv1",
    "/v2/%2E%2e%2fapi",
    "http://elsewhere.example.org/v2/",
  ];
  for (const path of paths) {
    const refused = await exchange(`http://${host}`, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.equal(refused?.status, 404, path);
  }
  assert.equal(registry.seen.length, 0);
});

test("a registry that is not reached, or takes uploads elsewhere, is 502 with the reason", async () => {
  const registry = await fakeRegistry(({ method }, response) => {
    if (method === "GET") throw new Error("the connection ends");
    answer(response, 202, { Location: "https://store.example.org/upload/1" });
  });
  const { host } = await startProxy(registry.url);
  const broken = await send(host, "GET", "/v2/a/tags/list");
  assert.equal(broken.status, 502);
  assert.match(broken.text, /cannot reach http:\/\/127\.0\.0\.1:\d+: the connection was broken off/);
  const elsewhere = await send(host, "POST", "/v2/a/blobs/uploads/");
  assert.equal(elsewhere.status, 502);
  assert.match(elsewhere.text, /sends on to https:\/\/store\.example\.org/);
});

test("a pull that breaks off at the registry breaks off at the client", async () => {
  const registry = await fakeRegistry((_, response) => {
    response.writeHead(200, { "Content-Length": "1000" });
    response.write(content(500), () => response.destroy());
  });
  const { host } = await startProxy(registry.url);
  await assert.rejects(send(host, "GET", "/v2/a/blobs/x"));
});

test("chunks have a fixed amount of memory: who has one goes on, and the others wait in turn", async () => {
  const buffers = new ChunkBuffers(90_000_000);
  assert.equal(buffers.limit, 2);
  const one = await buffers.take();
  const two = await buffers.take();
  assert.equal(buffers.takeNow(), undefined);
  const order: number[] = [];
  const waiting = [1, 2].map((number) =>
    buffers.take().then((buffer) => {
      order.push(number);
      return buffer;
    }),
  );
  assert(buffers.isShort);
  buffers.give(one);
  const third = await waiting[0];
  assert.deepEqual([order, buffers.taken], [[1], 2]);
  buffers.give(two);
  const fourth = await waiting[1];
  assert(third !== undefined && fourth !== undefined);
  buffers.give(third);
  buffers.give(fourth);
  assert.deepEqual([buffers.taken, buffers.isShort], [0, false]);
  assert.equal(new ChunkBuffers(32 * 1024 * 1024).limit, 5);
  const grown = new ChunkBuffers(10);
  const small = await grown.take();
  grown.growTo(20);
  grown.growTo(15);
  grown.give(small);
  assert.equal((await grown.take()).byteLength, 20);
});
