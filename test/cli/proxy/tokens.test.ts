import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { basicAuthorization } from "../../../src/client/credentials.ts";
import { content, digestOf } from "../../support/content.ts";
import { until } from "../../support/registry.ts";
import { startTimedRegistry } from "../../support/timed-registry.ts";
import { begin, read, send, startProxy } from "./support.ts";

const password = "correct horse battery";
const tenMinutesMs = 600_000;

const timed = await startTimedRegistry({ vars: { ADMIN_PASSWORD: password, TOKEN_TTL: "5s" } });

/** Pushes a blob by one PATCH that takes ten minutes and a PUT, as docker does. */
async function pushSlowly(host: string, headers: Record<string, string>): Promise<void> {
  const bytes = content(250_000);
  const opened = await send(host, "POST", "/v2/team/app/blobs/uploads/", { headers });
  assert.equal(opened.status, 202, opened.text);
  const location = String(opened.headers.location);
  const request = begin(host, "PATCH", location, { ...headers, "Transfer-Encoding": "chunked" });
  request.write(bytes.subarray(0, 150_000));
  const direct = location.replace(host, new URL(timed.registry.url).host);
  const Authorization = basicAuthorization("admin", password);
  await until("the first chunk", async () => {
    const { headers: told } = await send(new URL(direct).host, "GET", direct, { headers: { Authorization } });
    return told.range === "0-99999";
  });
  await timed.advance(tenMinutesMs);
  request.end(bytes.subarray(150_000));
  const [response] = await once(request, "response");
  const patched = await read(response);
  assert.equal(patched.status, 202, patched.text);
  const put = `${patched.headers.location}?digest=${digestOf(bytes)}`;
  assert.equal((await send(host, "PUT", put, { headers })).status, 201);
}

test("a push that outlives its tokens finishes, with credentials at the proxy", async () => {
  const credential = { kind: "password", username: "admin", password } as const;
  const { host } = await startProxy(new URL(timed.registry.url), { chunkBytes: 100_000, credential });
  await pushSlowly(host, {});
});

test("a push that outlives its tokens finishes, with those of the client", async () => {
  const { host } = await startProxy(new URL(timed.registry.url), { chunkBytes: 100_000 });
  const realm = "/token?service=stowage&scope=repository:team/app:pull,push";
  const answer = await timed.registry.must(200, "GET", realm, {
    headers: { Authorization: basicAuthorization("admin", password) },
  });
  await pushSlowly(host, { Authorization: `Bearer ${answer.json<{ token: string }>().token}` });
});
