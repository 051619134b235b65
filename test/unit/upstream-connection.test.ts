/** Which addresses an upstream may lead to, and which token services are its own. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { RegistryError } from "../../src/client/errors.ts";
import { Transport } from "../../src/client/transport.ts";
import {
  addressProblem,
  isTrustedRealm,
  rateLimitOf,
  upstreamFetch,
} from "../../src/objects/upstream/connection.ts";
import { parseUpstreams, type Upstream } from "../../src/oci/upstream.ts";

function upstream(more: object = {}): Upstream {
  const parsed = parseUpstreams(JSON.stringify([{ id: "up", url: "https://registry.example.org", ...more }]));
  assert(parsed.ok);
  const [only] = parsed.value;
  assert(only !== undefined);
  return only;
}

test("addresses are public and encrypted, unless the entry says otherwise", () => {
  const cases: [address: string, refused: RegExp | undefined, more: object][] = [
    ["https://storage.example.com/blob?signature=x", undefined, {}],
    ["http://storage.example.com/blob", /not encrypted/, {}],
    ["http://storage.example.com/blob", undefined, { insecure: true }],
    ["ftp://storage.example.com/blob", /not encrypted/, { insecure: true }],
    ["https://user:password@storage.example.com/blob", /credentials/, {}],
    ["https://10.1.2.3/blob", /private/, {}],
    ["https://169.254.169.254/latest/meta-data", /private/, {}],
    ["https://[::1]/blob", /private/, {}],
    ["https://2130706433/blob", /private/, {}],
    ["https://localhost/blob", /private/, {}],
    ["https://harbor.internal/blob", /private/, {}],
    ["https://10.1.2.3/blob", undefined, { private: true }],
    ["http://localhost:5000/blob", undefined, { private: true, insecure: true }],
  ];
  for (const [address, refused, more] of cases) {
    const problem = addressProblem(new URL(address), upstream(more));
    if (refused === undefined) assert.equal(problem, undefined, address);
    else assert.match(problem ?? "", refused, address);
  }
});

test("a token service is at the registry's host or domain, or named by the settings", () => {
  const cases: [url: string, realm: string, isTrusted: boolean][] = [
    ["https://registry-1.docker.io", "https://auth.docker.io/token", true],
    ["https://quay.io", "https://quay.io/v2/auth", true],
    ["https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true],
    ["https://public.ecr.aws", "https://public.ecr.aws/token/", true],
    ["https://registry.example.co.uk", "https://auth.example.co.uk/token", true],
    ["https://registry-1.docker.io", "https://auth.docker.io.example.com/token", false],
    ["https://registry-1.docker.io", "https://notdocker.io/token", false],
    ["https://quay.io", "https://auth.example.io/token", false],
    ["https://example.co.uk", "https://stranger.co.uk/token", false],
    ["https://example.com.au", "https://stranger.com.au/token", false],
    ["https://1.2.3.4", "https://5.2.3.4/token", false],
    ["https://1.2.3.4:5000", "https://1.2.3.4/token", true],
  ];
  for (const [url, realm, isTrusted] of cases)
    assert.equal(isTrustedRealm(new URL(realm), upstream({ url })), isTrusted, `${url} and ${realm}`);
  const named = upstream({ realm: "https://tokens.example.net" });
  assert.equal(isTrustedRealm(new URL("https://tokens.example.net/token?x"), named), true);
  assert.equal(isTrustedRealm(new URL("https://registry.example.org/token"), named), false);
});

/** A network that answers by address, and what it was asked with. */
function network(answers: Record<string, Response>) {
  const asked: [url: string, authorization: string | null][] = [];
  const outbound = {
    fetch: async (url: string, init: RequestInit) => {
      asked.push([url, new Headers(init.headers).get("Authorization")]);
      return answers[url] ?? new Response(null, { status: 404 });
    },
  };
  return { env: { WEBHOOK_OUTBOUND: outbound } as unknown as Env, asked };
}

function redirect(location: string): Response {
  return new Response(null, { status: 307, headers: { Location: location } });
}

test("a redirect to a public address is followed without the credentials, one to a private address is not", async () => {
  const blob = "https://registry.example.org/v2/a/blobs/x";
  const open = async (location: string) => {
    const { env, asked } = network({
      [blob]: redirect(location),
      "https://storage.example.com/x": new Response("bytes"),
    });
    const authorizer = { authorize: async () => "Bearer secret", renew: async () => undefined };
    const registry = new URL("https://registry.example.org");
    const transport = new Transport({ registry, authorizer, fetch: upstreamFetch(env, upstream()) });
    const sent = await transport.send({ method: "GET", target: "v2/a/blobs/x" }).catch((error) => error);
    return { sent, asked };
  };
  const followed = await open("https://storage.example.com/x");
  assert.equal(await followed.sent.text(), "bytes");
  assert.deepEqual(followed.asked, [
    [blob, "Bearer secret"],
    ["https://storage.example.com/x", null],
  ]);
  for (const location of ["https://127.0.0.1/x", "https://metadata.internal/x", "https://[fd00::1]/x"]) {
    const { sent, asked } = await open(location);
    assert(sent instanceof RegistryError);
    assert.equal(sent.kind, "untrusted");
    assert.equal(asked.length, 1);
  }
});

test("the rate limit is read as Docker Hub says it", () => {
  const headers = new Headers({ "RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600" });
  assert.deepEqual(rateLimitOf({ headers }, 5), {
    limit: 100,
    remaining: 76,
    windowSeconds: 21_600,
    atMs: 5,
  });
  assert.equal(rateLimitOf({ headers: new Headers() }, 5), undefined);
  assert.equal(rateLimitOf({ headers: new Headers({ "RateLimit-Limit": "many" }) }, 5), undefined);
});
