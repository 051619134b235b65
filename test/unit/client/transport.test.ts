import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { text } from "node:stream/consumers";
import test from "node:test";
import { basicAuthorization, type Credential } from "../../../src/client/credentials.ts";
import { RegistryError } from "../../../src/client/errors.ts";
import { retryAfterMs } from "../../../src/client/retry.ts";
import { answer, fakeRegistry, type Seen, transportTo } from "./fake-registry.ts";

const password: Credential = { kind: "password", username: "ann", password: "sesame: ü" };
const pull = [{ type: "repository", name: "team/app", actions: ["pull"] }];
const push = [{ type: "repository", name: "team/app", actions: ["pull", "push"] }];

/** A registry with a token service at its own address; its tokens are numbered, and live for `lifeSeconds`. */
async function closedRegistry(lifeSeconds = 300, isGood = (_token: number, _seen: Seen) => true) {
  let issued = 0;
  const registry = await fakeRegistry(async (seen, response) => {
    const challenge = `Bearer realm="${registry.url.origin}/token",service="fake"`;
    if (seen.path.startsWith("/token")) {
      const body = seen.method === "POST" ? await text(seen.request) : undefined;
      const isLetIn =
        body?.includes("refresh_token=fresh") ??
        seen.authorization === basicAuthorization("ann", "sesame: ü");
      if (!isLetIn && seen.authorization !== undefined)
        return answer(response, 401, {}, { errors: [{ code: "UNAUTHORIZED", message: "wrong password" }] });
      return answer(response, 200, {}, { token: `t${++issued}`, expires_in: lifeSeconds });
    }
    const [, shown] = /^Bearer t(\d+)$/.exec(seen.authorization ?? "") ?? [];
    if (shown === undefined || !isGood(Number(shown), seen)) {
      return answer(response, 401, { "WWW-Authenticate": challenge });
    }
    answer(response, 200);
  });
  return registry;
}

const credentials = async () => password;

test("a token is got by the challenge, for the scopes of the request, and kept while it is good", async () => {
  const registry = await closedRegistry(60);
  const { transport, timing } = transportTo(registry, { credentials });
  const get = async (scopes = pull) =>
    (await transport.send({ method: "GET", target: "v2/x", scopes })).status;
  assert.deepEqual([await get(), await get(), await get(push)], [200, 200, 200]);
  const query = (scope: string) => `GET /token?service=fake&scope=${encodeURIComponent(scope)}`;
  const expected = [
    "GET /v2/",
    query("repository:team/app:pull"),
    "GET /v2/x",
    "GET /v2/x",
    query("repository:team/app:pull,push"),
    "GET /v2/x",
  ];
  assert.deepEqual(registry.paths(), expected);
  timing.milliseconds = 49_000;
  await get();
  assert.equal(registry.seen.length, 7);
  timing.milliseconds = 51_000;
  await get();
  assert.deepEqual(registry.paths().slice(7), [query("repository:team/app:pull"), "GET /v2/x"]);
});

test("a token that is refused is replaced once, by one request for all who were refused at that time", async () => {
  const registry = await closedRegistry(300, (token) => token === 2);
  const { transport } = transportTo(registry, { credentials });
  const send = () => transport.send({ method: "PUT", target: "v2/x", scopes: push, body: new Uint8Array(3) });
  const answers = await Promise.all([send(), send(), send()]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  assert.equal(registry.seen.filter(({ path }) => path.startsWith("/token")).length, 2);
  const stubborn = await closedRegistry(300, () => false);
  const refused = await transportTo(stubborn, { credentials }).transport.send({
    method: "GET",
    target: "v2/x",
  });
  assert.equal(refused.status, 401);
  assert.equal(stubborn.paths().filter((path) => path === "GET /v2/x").length, 2);
});

test("what the registry says is needed is asked for together with what was", async () => {
  let tokens = 0;
  const registry = await fakeRegistry(({ path, authorization }, response) => {
    if (path.startsWith("/token")) return answer(response, 200, {}, { access_token: `t${++tokens}` });
    const scope = 'scope="repository:other:pull repository:team/app:push"';
    const challenge = `Bearer realm="${registry.url.origin}/token",${scope}`;
    if (authorization !== "Bearer t2") return answer(response, 401, { "WWW-Authenticate": challenge });
    answer(response, 200);
  });
  const { transport } = transportTo(registry, { credentials });
  assert.equal((await transport.send({ method: "GET", target: "v2/x", scopes: pull })).status, 200);
  const [last] = registry
    .paths()
    .filter((path) => path.startsWith("GET /token"))
    .slice(-1);
  const scopes = new URL(last?.slice(4) ?? "", registry.url).searchParams.getAll("scope");
  assert.deepEqual(scopes, ["repository:other:pull", "repository:team/app:push,pull"]);
});

test("without a credential a token is asked for without one; a refresh token is exchanged; a bearer token shown", async () => {
  const registry = await closedRegistry();
  await transportTo(registry).transport.send({ method: "GET", target: "v2/x" });
  assert.deepEqual(
    registry.seen.filter(({ path }) => path.startsWith("/token")).map(({ authorization }) => authorization),
    [undefined],
  );
  const refresh: Credential = { kind: "refresh-token", token: "fresh" };
  const exchanged = transportTo(registry, { credentials: async () => refresh }).transport;
  assert.equal((await exchanged.send({ method: "GET", target: "v2/x", scopes: pull })).status, 200);
  assert.equal(registry.seen.at(-2)?.method, "POST");
  const bearer: Credential = { kind: "bearer", token: "t1" };
  const shown = transportTo(registry, { credentials: async () => bearer }).transport;
  assert.equal((await shown.send({ method: "GET", target: "v2/x" })).status, 200);
  assert.equal(registry.seen.at(-1)?.authorization, "Bearer t1");
});

test("Basic is shown where it is asked for, and never twice for one refusal", async () => {
  const registry = await fakeRegistry(({ path, authorization }, response) => {
    const isRight = authorization === basicAuthorization("ann", "sesame: ü") && path !== "/v2/forbidden";
    answer(response, isRight ? 200 : 401, { "WWW-Authenticate": 'Basic realm="fake"' });
  });
  const { transport } = transportTo(registry, { credentials });
  assert.equal((await transport.send({ method: "GET", target: "v2/x" })).status, 200);
  assert.equal((await transport.send({ method: "GET", target: "v2/forbidden" })).status, 401);
  assert.deepEqual(registry.paths(), ["GET /v2/", "GET /v2/x", "GET /v2/forbidden"]);
});

test("a token service that refuses, or answers with nonsense, is named", async () => {
  const wrong: Credential = { kind: "password", username: "ann", password: "no" };
  const registry = await closedRegistry();
  const { transport } = transportTo(registry, { credentials: async () => wrong });
  await assert.rejects(transport.send({ method: "GET", target: "v2/x" }), (error: RegistryError) => {
    assert.deepEqual([error.kind, error.status, error.code], ["refused", 401, "UNAUTHORIZED"]);
    return /gives no token: wrong password$/.test(error.message);
  });
  for (const nonsense of [{}, { token: 5 }, { token: "a\nb" }, []]) {
    const odd = await fakeRegistry(({ path }, response) => {
      if (path.startsWith("/token")) return answer(response, 200, {}, nonsense);
      answer(response, 401, { "WWW-Authenticate": `Bearer realm="${odd.url.origin}/token"` });
    });
    await assert.rejects(transportTo(odd).transport.send({ method: "GET", target: "v2/x" }), {
      kind: "foreign",
    });
  }
});

test("credentials do not go to a token service that is not encrypted", async () => {
  const registry = await fakeRegistry((_, response) => {
    answer(response, 401, { "WWW-Authenticate": 'Bearer realm="http://auth.example.org/token"' });
  });
  const { transport } = transportTo(registry, { credentials });
  await assert.rejects(transport.send({ method: "GET", target: "v2/x" }), { kind: "untrusted" });
});

test("a redirect of a read is followed, to another host without the credentials", async () => {
  const store = await fakeRegistry(({ path }, response) => {
    if (path === "/back") return answer(response, 307, { Location: `${registry.url.origin}/v2/found` });
    answer(response, 200, {}, { from: "store" });
  });
  const registry = await fakeRegistry(({ path, authorization }, response) => {
    if (authorization === undefined) return answer(response, 401, { "WWW-Authenticate": "Basic" });
    if (path === "/v2/away") return answer(response, 307, { Location: `${store.url.origin}/signed?a=b` });
    if (path === "/v2/there-and-back") return answer(response, 302, { Location: `${store.url.origin}/back` });
    if (path === "/v2/loop") return answer(response, 302, { Location: "loop" });
    if (path === "/v2/file") return answer(response, 302, { Location: "file:///etc/passwd" });
    answer(response, 200);
  });
  const { transport } = transportTo(registry, { credentials });
  const get = (path: string) =>
    transport.send({ method: "GET", target: path, headers: { Range: "bytes=1-" } });
  assert.deepEqual(await (await get("v2/away")).json(), { from: "store" });
  assert.deepEqual(
    store.seen.map(({ path, authorization }) => [path, authorization]),
    [["/signed?a=b", undefined]],
  );
  assert.equal(store.seen[0]?.request.headers.range, "bytes=1-");
  assert.equal((await get("v2/there-and-back")).status, 200);
  assert.equal(store.seen[1]?.authorization, undefined);
  await assert.rejects(get("v2/loop"), { kind: "redirected" });
  await assert.rejects(get("v2/file"), RegistryError);
  await assert.rejects(transport.send({ method: "PUT", target: "v2/away", body: new Uint8Array(1) }), {
    kind: "redirected",
  });
  assert.equal(store.seen.length, 2);
});

test("an address that the registry gives is its own, with https where a server before it has forgotten that", () => {
  const { transport } = transportTo({ url: new URL("https://registry.example.org/below") });
  const resolve = (target: string) =>
    transport.resolve(target, new URL("https://registry.example.org/below/v2/a/"));
  assert.equal(resolve("uploads/1?x=y").href, "https://registry.example.org/below/v2/a/uploads/1?x=y");
  assert.equal(resolve("/v2/b").href, "https://registry.example.org/v2/b");
  assert.equal(resolve("http://registry.example.org/v2/b").href, "https://registry.example.org/v2/b");
  for (const target of [
    "https://other.example.org/",
    "//other.example.org/",
    "http://other.example.org",
    "file:///",
  ]) {
    assert.throws(() => resolve(target), { kind: "redirected" }, target);
  }
  assert.throws(() => resolve("http://["), { kind: "foreign" });
});

test("what may be repeated is, after pauses that grow, or as the registry asks", async () => {
  const script: ((response: ServerResponse) => void)[] = [
    (response) => answer(response, 503),
    (response) => answer(response, 429, { "Retry-After": "7" }),
    (response) => response.socket?.destroy(),
    (response) => response.socket?.destroy(),
    (response) => answer(response, 502),
  ];
  const registry = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    const step = script.shift();
    if (step === undefined) answer(response, 200);
    else step(response);
  });
  const { transport, timing } = transportTo(registry);
  assert.equal((await transport.send({ method: "GET", target: "v2/x" })).status, 200);
  assert.deepEqual(timing.pauses, [225, 7000, 900, 1800]);
});

test("what may not be repeated is not; who asks for too long a pause is not waited for; tries end", async () => {
  const registry = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    if (path === "/v2/later") return answer(response, 429, { "Retry-After": "3600" });
    if (path === "/v2/gone") throw new Error("the connection ends");
    answer(response, 503);
  });
  const { transport, timing } = transportTo(registry);
  assert.equal((await transport.send({ method: "POST", target: "v2/x" })).status, 503);
  assert.equal((await transport.send({ method: "GET", target: "v2/later" })).status, 429);
  assert.deepEqual([registry.seen.length, timing.pauses], [3, []]);
  assert.equal((await transport.send({ method: "GET", target: "v2/x" })).status, 503);
  assert.equal(timing.pauses.length, 5);
  const broken = transport.send({ method: "POST", target: "v2/gone" });
  await assert.rejects(broken, {
    kind: "unreachable",
    code: "UNREACHABLE",
    message: /connection was broken off$/,
  });
});

test("a date in Retry-After is read by the server's own clock", async () => {
  const registry = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/" || registry.seen.length > 2) return answer(response, 200);
    response.sendDate = false;
    answer(response, 503, {
      Date: "Sun, 01 Jan 2006 00:00:00 GMT",
      "Retry-After": "Sun, 01 Jan 2006 00:00:09 GMT",
    });
  });
  const { transport, timing } = transportTo(registry);
  await transport.send({ method: "GET", target: "v2/x" });
  assert.deepEqual(timing.pauses, [9000]);
});

const date = "Sun, 01 Jan 2006 00:00:00 GMT";
const retries: [retryAfter: string, milliseconds: number | undefined][] = [
  ["7", 7000],
  ["0", 0],
  ["soon", undefined],
  ["99999999999999999999", 3_600_000],
  ["Sun, 01 Jan 2006 00:00:09 GMT", 9000],
  ["Sat, 31 Dec 2005 23:59:59 GMT", 0],
  ["Fri, 31 Dec 9999 23:59:59 GMT", 3_600_000],
];

test("a Retry-After counts for an hour at most", () => {
  for (const [retryAfter, milliseconds] of retries) {
    const headers = new Headers({ "Retry-After": retryAfter, Date: date });
    assert.equal(retryAfterMs({ headers }), milliseconds, retryAfter);
  }
});

test("an answer to a body may take as long as the body does, and then five minutes", async (t) => {
  const { promise: isAsked, resolve } = Promise.withResolvers<void>();
  const silent = await fakeRegistry(({ method }, response) => {
    if (method === "PUT") resolve();
    else answer(response, 200);
  });
  const { transport } = transportTo(silent);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let isOver = false;
  const sent = transport.send({ method: "PUT", target: "v2/a", body: new Uint8Array(2000) }).finally(() => {
    isOver = true;
  });
  const rejected = assert.rejects(sent, { kind: "unreachable", message: /: no answer within 302 s$/ });
  await isAsked;
  t.mock.timers.tick(301_999);
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  t.mock.timers.tick(1);
  await rejected;
});

test("a signal ends a request, and the answer's body", async () => {
  const registry = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    response.writeHead(200).write("begun");
  });
  const { transport } = transportTo(registry);
  const controller = new AbortController();
  const { body } = await transport.send({ method: "GET", target: "v2/x", signal: controller.signal });
  const reader = body?.getReader();
  assert.equal((await reader?.read())?.value?.byteLength, 5);
  controller.abort(new Error("enough"));
  await assert.rejects(async () => reader?.read(), /enough/);
  await assert.rejects(
    transport.send({ method: "GET", target: "v2/x", signal: controller.signal }),
    /enough/,
  );
});

test("an address that nothing listens at is tried again, as a server may be starting", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { transport, timing } = transportTo({ url: new URL(`http://127.0.0.1:${port}`) });
  await assert.rejects(transport.send({ method: "GET", target: "v2/x" }), {
    kind: "unreachable",
    message: `cannot reach http://127.0.0.1:${port}: nothing listens there`,
  });
  assert.equal(timing.pauses.length, 5);
});
