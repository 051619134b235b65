/** Sessions of browsers: what their signature is for, and which changes are those of a page. */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import test from "node:test";
import { accessByGrants } from "../../src/edge/auth/authorise.ts";
import { accessBySession, isNoJsonChange, startSession } from "../../src/edge/auth/session.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { Account } from "../../src/rpc/api.ts";

const url = new URL("http://localhost:5000/api/v1/session");
const account = { name: "alice", grants: [], isDisabled: false, version: 1 } as unknown as Account;
const principal = { account: "alice", grantSets: [[]], version: "1" };

/** A registry with this account and secret. */
function makeRegistry(secret: Uint8Array): Registry {
  return {
    clock: { now: () => 1_000_000 },
    settings: { publicScheme: "request" },
    catalog: () => ({ account: async () => account }),
    sessionSecret: async () => secret,
  } as unknown as Registry;
}

/** The account of the session in a cookie of this value. */
async function accountOf(registry: Registry, value: string): Promise<string | undefined> {
  const headers = { Cookie: `other=1; stowage=${value}`, "Sec-Fetch-Site": "same-origin" };
  return (await accessBySession({ registry, url, request: new Request(url, { headers }) }))?.account;
}

test("what was signed for something else with the same secret is no session", async () => {
  const secret = randomBytes(32);
  const registry = makeRegistry(secret);
  const started = await startSession({ registry, url, request: new Request(url) }, principal);
  assert(started.ok);
  const value = /^stowage=([^;]+)/.exec(started.headers["Set-Cookie"] ?? "")?.[1] ?? "";
  assert.equal(await accountOf(registry, value), "alice");
  const [payload = ""] = value.split(".");
  for (const purpose of ["", "admin password\n", "upload session\n"]) {
    const signature = createHmac("sha256", secret).update(`${purpose}${payload}`).digest("base64url");
    assert.equal(await accountOf(registry, `${payload}.${signature}`), undefined, purpose);
  }
});

test("a change by a session is of JSON, and of nothing that begins alike", () => {
  const bySession = accessByGrants("alice", "session", [[]]);
  const isRefused = (type: string | undefined, method = "POST", access = bySession) => {
    const headers: HeadersInit = type === undefined ? {} : { "Content-Type": type };
    return isNoJsonChange(access, new Request(url, { method, headers }));
  };
  for (const type of ["application/json", "Application/JSON", "application/json; charset=utf-8"]) {
    assert.equal(isRefused(type), false, type);
  }
  for (const type of [
    undefined,
    "text/plain",
    "application/jsonp",
    "application/json-patch+json",
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
  ]) {
    assert.equal(isRefused(type), true, type);
    assert.equal(isRefused(type, "GET"), false, type);
    assert.equal(isRefused(type, "POST", accessByGrants("alice", "password", [[]])), false, type);
  }
});
