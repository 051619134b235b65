import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { digestOfContent } from "../../../src/oci/reference.ts";
import { content } from "../../support/content.ts";
import { head } from "../../support/raw.ts";
import { until } from "../../support/registry.ts";
import { answer, fakeRegistry } from "../../unit/client/fake-registry.ts";
import { type Trouble, UploadRegistry } from "../../unit/client/upload-registry.ts";
import {
  begin,
  type ProxyAnswer,
  type ProxySettings,
  read,
  send,
  startProxy,
  type TestProxy,
} from "./support.ts";

const uploads = "/v2/team/app/blobs/uploads/";

async function start(settings: ProxySettings = {}, minChunkBytes?: number) {
  const registry = new UploadRegistry(minChunkBytes);
  const { url, paths } = await registry.start();
  return { registry, paths, proxy: await startProxy(url, settings) };
}

const digestOf = (bytes: Uint8Array) => digestOfContent(bytes, "sha256");
const query = (bytes: Uint8Array) => `digest=${encodeURIComponent(digestOf(bytes))}`;

/** Opens an upload; checks that it is at the proxy. */
async function open({ host }: TestProxy): Promise<string> {
  const { status, headers } = await send(host, "POST", uploads);
  assert.equal(status, 202);
  return locationOf(host, headers.location);
}

function locationOf(host: string, location: string | undefined): string {
  assert(location !== undefined);
  assert(location.startsWith(`http://${host}/v2/team/app/blobs/`), location);
  return location;
}

type Way = (proxy: TestProxy, bytes: Uint8Array) => Promise<ProxyAnswer>;

/** How clients send a blob. */
const ways: Record<string, Way> = {
  "one PATCH without a length": async (proxy, bytes) => {
    const opened = await open(proxy);
    const pieces = [bytes.subarray(0, 777), bytes.subarray(777)];
    const patched = await send(proxy.host, "PATCH", opened, { pieces });
    assert.equal(patched.status, 202, patched.text);
    assert.equal(patched.headers.range, `0-${Math.max(0, bytes.byteLength - 1)}`);
    const location = locationOf(proxy.host, patched.headers.location);
    return await send(proxy.host, "PUT", `${location}&${query(bytes)}`, { body: new Uint8Array() });
  },
  "one PUT": async (proxy, bytes) => {
    return await send(proxy.host, "PUT", `${await open(proxy)}&${query(bytes)}`, { body: bytes });
  },
  "one PUT without a length": async (proxy, bytes) => {
    return await send(proxy.host, "PUT", `${await open(proxy)}&${query(bytes)}`, { pieces: [bytes] });
  },
  "one POST": async (proxy, bytes) => {
    return await send(proxy.host, "POST", `${uploads}?${query(bytes)}`, { body: bytes });
  },
  "chunks of its own, and the last one with PUT": async (proxy, bytes) => {
    let location = await open(proxy);
    const half = Math.ceil(bytes.byteLength / 2);
    const headers = { "Content-Range": `0-${half - 1}` };
    const patched = await send(proxy.host, "PATCH", location, { body: bytes.subarray(0, half), headers });
    assert.equal(patched.status, 202, patched.text);
    location = locationOf(proxy.host, patched.headers.location);
    const rest = {
      body: bytes.subarray(half),
      headers: { "Content-Range": `${half}-${bytes.byteLength - 1}` },
    };
    return await send(proxy.host, "PUT", `${location}&${query(bytes)}`, rest);
  },
};

for (const [way, push] of Object.entries(ways)) {
  for (const size of [2, 1000, 1001, 2000, 12_345]) {
    test(`a blob of ${size} bytes in ${way} arrives in requests of at most 1000`, async () => {
      const { registry, proxy } = await start();
      const bytes = content(size);
      if (way === "one POST" && size <= 1000) return;
      const { status, headers, text } = await push(proxy, bytes);
      assert.equal(status, 201, text);
      assert.equal(headers["docker-content-digest"], digestOf(bytes));
      assert.deepEqual(registry.blobs.get(digestOf(bytes)), Buffer.from(bytes));
      assert.equal(registry.received, size);
      const lengths = registry.chunks.map((chunk) => {
        const [, first, last] = /(\d+)-(\d+)$/.exec(chunk) ?? [];
        return first === undefined ? 0 : Number(last) - Number(first) + 1;
      });
      assert(Math.max(...lengths) <= 1000, String(registry.chunks));
      assert.equal(proxy.buffers.taken, 0);
    });
  }
}

const troubles: [what: string, trouble: Trouble[]][] = [
  [
    "cuts",
    [
      { kind: "cut", keeps: 0 },
      { kind: "cut", keeps: 700 },
      { kind: "cut", keeps: 299 },
    ],
  ],
  ["lost answers", [{ kind: "lost-answer" }, { kind: "lost-answer" }]],
  [
    "503, 429, 408 and 409",
    [503, 429, 408, 409].map((status) => ({ kind: "status", status, keeps: 100 }) as const),
  ],
];

for (const [what, trouble] of troubles) {
  for (const way of ["one PATCH without a length", "one PUT"]) {
    test(`${what} in ${way}: it ends well, and sends at most a chunk again for each`, async () => {
      const { registry, proxy } = await start();
      registry.trouble.push(...trouble);
      const bytes = content(5500);
      const { status, text } = (await ways[way]?.(proxy, bytes)) ?? { status: 0, text: "" };
      assert.equal(status, 201, text);
      assert.deepEqual(registry.blobs.get(digestOf(bytes)), Buffer.from(bytes));
      assert(registry.received - 5500 <= trouble.length * 1000, `${registry.received} bytes were sent`);
    });
  }
}

test("an answer to the last request that is lost is no failure", async () => {
  const { registry, proxy } = await start();
  const bytes = content(500);
  registry.trouble.push({ kind: "lost-answer" });
  const { status, text } = await send(proxy.host, "PUT", `${await open(proxy)}&${query(bytes)}`, {
    body: bytes,
  });
  assert.equal(status, 201, text);
});

for (const status of [401, 404, 413, 416, 405]) {
  test(`${status} to a chunk goes to the client`, async () => {
    const { registry, proxy } = await start();
    const headers = { "WWW-Authenticate": 'Bearer realm="https://real.example.org/token"' };
    for (let n = 0; n < 20; n++) registry.trouble.push({ kind: "status", status, headers });
    const answer = await send(proxy.host, "PATCH", await open(proxy), { body: content(5000) });
    assert.equal(answer.status, status);
    assert.equal(answer.headers["www-authenticate"], headers["WWW-Authenticate"]);
    const isOfChunks = proxy.said.some((line) => /does not take uploads in chunks/.test(line));
    assert.equal(isOfChunks, status === 416 || status === 405);
    assert.equal(proxy.buffers.taken, 0);
  });
}

test("bytes that are not those of the digest are refused, and the upload is given up", async () => {
  const { registry, proxy, paths } = await start();
  const [bytes, others] = [content(2500), content(2500)];
  const patched = await send(proxy.host, "PATCH", await open(proxy), { body: bytes });
  const put = await send(proxy.host, "PUT", `${patched.headers.location}&${query(others)}`);
  assert.equal(put.status, 400);
  assert.match(put.text, /DIGEST_INVALID.*what came for sha256:/);
  assert.equal(registry.blobs.size, 0);
  assert(paths().at(-1)?.startsWith("DELETE "));
  const whole = await send(proxy.host, "POST", `${uploads}?${query(others)}`, { body: content(10) });
  assert.equal(whole.status, 400);
});

test("a registry that has another number of bytes in the end is not believed", async () => {
  const { registry, proxy } = await start();
  const bytes = content(2500);
  const patched = await send(proxy.host, "PATCH", await open(proxy), { body: bytes });
  registry.bytes = Buffer.from(bytes);
  registry.liesAboutSize = true;
  const { status, text } = await send(proxy.host, "PUT", `${patched.headers.location}&${query(bytes)}`);
  assert.equal(status, 502);
  assert.match(text, /took 2500 bytes for sha256:\w+, and has 2501/);
});

test("a chunk that begins elsewhere, or is longer than it says, is refused", async () => {
  const { registry, proxy } = await start();
  const location = await open(proxy);
  const patched = await send(proxy.host, "PATCH", location, {
    body: content(300),
    headers: { "Content-Range": "0-299" },
  });
  const next = String(patched.headers.location);
  const elsewhere = await send(proxy.host, "PATCH", next, {
    body: content(10),
    headers: { "Content-Range": "500-509" },
  });
  assert.deepEqual([elsewhere.status, elsewhere.headers.range], [416, "0-299"]);
  locationOf(proxy.host, elsewhere.headers.location);
  const longer = await send(proxy.host, "PATCH", next, {
    body: content(11),
    headers: { "Content-Range": "300-309" },
  });
  assert.equal(longer.status, 400);
  assert.equal(registry.received, 300);
  const right = await send(proxy.host, "PATCH", next, {
    body: content(10),
    headers: { "Content-Range": "300-309" },
  });
  assert.equal(right.status, 202, right.text);
});

test("an upload that the proxy knows nothing of is asked about, and goes on", async () => {
  const { registry, proxy } = await start();
  const bytes = content(3000);
  const first = await send(proxy.host, "PATCH", await open(proxy), { body: bytes.subarray(0, 1500) });
  const other = await startProxy(new URL(registry.url));
  const location = String(first.headers.location).replace(proxy.host, other.host);
  const second = await send(other.host, "PATCH", location, { body: bytes.subarray(1500) });
  assert.equal(second.headers.range, "0-2999");
  const third = await startProxy(new URL(registry.url));
  const end = String(second.headers.location).replace(other.host, third.host);
  assert.equal((await send(third.host, "PUT", `${end}&${query(bytes)}`)).status, 201);
  const gone = await send(third.host, "PATCH", end, { body: bytes });
  assert.equal(gone.status, 404);
  assert.match(gone.text, /BLOB_UPLOAD_UNKNOWN/);
});

test("chunks grow to what the registry wants at least", async () => {
  const { registry, proxy } = await start({}, 1500);
  const bytes = content(4000);
  assert.equal((await ways["one PUT"]?.(proxy, bytes))?.status, 201);
  assert.deepEqual(registry.chunks, ["PATCH 0-1499", "PATCH 1500-2999", "PUT 3000-3999"]);
});

test("a client that waits for leave to send its body gets it", async () => {
  const { registry, proxy } = await start();
  const bytes = content(1500);
  const headers = { Expect: "100-continue", "Content-Length": "1500" };
  const request = begin(proxy.host, "PUT", `${await open(proxy)}&${query(bytes)}`, headers);
  request.flushHeaders();
  await once(request, "continue");
  request.end(bytes);
  const [response] = await once(request, "response");
  assert.equal((await read(response)).status, 201);
  assert.equal(registry.blobs.size, 1);
});

test("a client that goes away ends what was under way for it, and the upload can go on", async () => {
  const { registry, proxy } = await start();
  const location = await open(proxy);
  const request = begin(proxy.host, "PATCH", location, { "Transfer-Encoding": "chunked" });
  request.on("error", () => {});
  request.write(content(1500));
  await until("the first chunk", () => registry.bytes.byteLength === 1000);
  request.destroy();
  await until("the end of it", () => proxy.buffers.taken === 0);
  const asked = await send(proxy.host, "GET", location.replace(/_state=\d+/, "_state=1000"));
  assert.deepEqual([asked.status, asked.headers.range], [204, "0-999"]);
  const more = await send(proxy.host, "PATCH", String(asked.headers.location), { body: content(5) });
  assert.deepEqual([more.status, more.headers.range], [202, "0-1004"]);
});

test("a buffer goes to nobody else while the body of a push that failed is still read into it", async () => {
  const registry = await fakeRegistry(({ method }, response) => {
    if (method === "GET") answer(response, 204, { Range: "0-0" });
    else answer(response, 202, { Location: "https://elsewhere.example.org/" });
  });
  const { host, buffers } = await startProxy(registry.url);
  const own = await buffers.take();
  const { hostname, port } = new URL(`http://${host}`);
  const socket = connect(Number(port), hostname);
  let told = "";
  socket.on("data", (bytes) => {
    told += bytes;
  });
  socket.write(head("PATCH", "/v2/a/blobs/uploads/1", { "Content-Length": "1600" }));
  socket.write(new Uint8Array(1100).fill(1));
  await until("the push fails", () => told.startsWith("HTTP/1.1 502"));
  const others = [own, await buffers.take(), await buffers.take()];
  for (const other of others) other.fill(0);
  socket.write(new Uint8Array(500).fill(1));
  // It is answered when the body before it was read.
  socket.write(head("GET", "/elsewhere"));
  await until("the next answer", () => told.includes("HTTP/1.1 404"));
  socket.destroy();
  assert(others.every((other) => other.every((byte) => byte === 0)));
  await until("the buffers of the push are given back", () => buffers.taken === others.length);
});

test("a client that is refused early still sees why, when it has sent the rest", async () => {
  const { registry, proxy } = await start();
  registry.trouble.push({ kind: "status", status: 404 });
  const request = begin(proxy.host, "PATCH", await open(proxy), { "Transfer-Encoding": "chunked" });
  request.write(content(1500));
  const [response] = await once(request, "response");
  assert.equal((await read(response)).status, 404);
  for (let n = 0; n < 20; n++) request.write(content(100_000));
  request.end();
  await once(request, "close");
  await until("the end of it", () => proxy.buffers.taken === 0);
});

test("a client that gives an upload up does so at the registry", async () => {
  const { proxy, paths } = await start();
  const location = await open(proxy);
  assert.equal((await send(proxy.host, "DELETE", location)).status, 204);
  assert(paths().at(-1)?.startsWith("DELETE /v2/team/app/blobs/uploads/1?"));
});
