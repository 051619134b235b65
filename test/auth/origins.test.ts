/** Under which names the registry is asked for, and which web sites its browsers are on. Requests are bytes. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { Answer } from "../support/answer.ts";
import { basic } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { converse, exchange, head } from "../support/raw.ts";
import { startRegistry } from "../support/registry.ts";

const open = await startRegistry();
const named = await startRegistry({
  vars: { OPEN_HOSTS: "Host.Docker.Internal, 192.168.1.5,[fd00::5], ", TRUST_FORWARDED: "yes" },
});
const closed = await startClosedRegistry();
const proxied = await startClosedRegistry({ TRUST_FORWARDED: "yes", PUBLIC_SCHEME: "https" });
const published = await startClosedRegistry({ PUBLIC_URL: "https://images.example" });
const port = new URL(open.url).port;
const authorization = { Authorization: basic(admin.name, admin.password) };
const empty = { "Content-Length": "0" };
const opening = "/v2/team/app/blobs/uploads/";

type HeaderList = Record<string, string>;

async function ask(url: string, method: string, target: string, headers: HeaderList): Promise<Answer> {
  const [answer] = await converse(url, head(method, target, headers), [method]);
  assert(answer !== undefined);
  assert.deepEqual(
    [...answer.headers.keys()].filter((name) => name.startsWith("access-control-")),
    [],
  );
  return answer;
}

/** What an answer says went wrong, whichever form it has. */
function errorOf(answer: Answer): string {
  const { errors, code } = answer.json<{ errors?: { code: string }[]; code?: string }>();
  return errors?.[0]?.code ?? code ?? "";
}

const loopback = [
  "localhost",
  `localhost:${port}`,
  "LocalHost:1",
  "localhost.",
  "a.b.localhost:5000",
  "registry.localhost.",
  "127.0.0.1",
  `127.0.0.1:${port}`,
  "127.255.255.254",
  "127.0.0.1.",
  "[::1]",
  "[::1]:5000",
  "[0:0:0:0:0:0:0:1]",
];

const strangers = [
  "evil.example",
  `evil.example:${port}`,
  "localhost.evil.example",
  "evil-localhost",
  "localhost..",
  "127.0.0.1.evil.example",
  "127.0.0.1..",
  "128.0.0.1",
  "0.0.0.0",
  "10.0.0.1",
  "169.254.169.254",
  "[::2]",
  "[fe80::1]",
  "[::ffff:10.0.0.1]",
  "host.docker.internal",
];

const routes: [method: string, target: string, headers: HeaderList][] = [
  ["GET", "/v2/", {}],
  ["HEAD", "/v2/team/app/manifests/v1", {}],
  ["GET", "/healthz", {}],
  ["GET", "/metrics", {}],
  ["GET", "/nothing", {}],
  ["OPTIONS", "/v2/", {}],
  ["POST", opening, empty],
  ["DELETE", "/v2/team/app/manifests/v1", {}],
  ["POST", "/api/v1/gc", empty],
];

describe("an open registry", () => {
  for (const host of loopback) {
    test(`answers as ${host}`, async () => {
      for (const url of [open.url, named.url]) {
        assert.equal((await ask(url, "GET", "/v2/", { Host: host })).status, 200);
        assert.equal((await ask(url, "POST", opening, { Host: host, ...empty })).status, 202);
      }
    });
  }

  for (const host of strangers) {
    test(`answers to nothing as ${host}`, async () => {
      for (const [method, target, headers] of routes) {
        const answer = await ask(open.url, method, target, { Host: host, ...headers });
        assert.equal(answer.status, 421, `${method} ${target}`);
        if (method !== "HEAD" && !target.startsWith("/api/")) assert.equal(errorOf(answer), "DENIED");
        assert(method === "HEAD" || answer.text.includes("OPEN_HOSTS"), answer.text);
      }
    });
  }

  const malformed = ["[::1", "localhost:99999", ":80", "localhost:x", "[localhost]"];
  for (const host of malformed) {
    test(`answers to nothing as ${host}, which is no host`, async () => {
      assert.equal((await ask(open.url, "GET", "/v2/", { Host: host })).status, 400);
    });
  }

  const unreadable = [
    "user@localhost",
    "evil.example@localhost",
    "localhost/v2/",
    "localhost#x",
    "localhost, evil",
  ];
  for (const host of unreadable) {
    test(`is never asked as ${host}`, async () => {
      const answer = await exchange(open.url, head("GET", "/v2/", { Host: host }));
      assert.notEqual(answer?.status, 200);
    });
  }

  test("is never asked under two names", async () => {
    const twice = head("GET", "/v2/", [
      ["Host", "localhost"],
      ["Host", "evil.example"],
    ]);
    assert.notEqual((await exchange(open.url, twice))?.status, 200);
  });

  const byOthers: [HeaderList, number][] = [
    [{ Host: "host.docker.internal:5000" }, 200],
    [{ Host: "HOST.docker.internal." }, 200],
    [{ Host: "192.168.1.5" }, 200],
    [{ Host: "[fd00::5]:80" }, 200],
    [{ Host: "192.168.1.6" }, 421],
    [{ Host: "docker.internal" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "host.docker.internal" }, 200],
    [{ Host: "localhost", "X-Forwarded-Host": "evil.example" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "localhost, evil.example" }, 421],
    [{ Host: "evil.example", "X-Forwarded-Host": "localhost" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "" }, 200],
    // What is no host to us may be one to a browser.
    [{ Host: "localhost", "X-Forwarded-Host": "a$b.evil.example" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "*.evil.example" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "user@evil.example" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "evil.example:99999" }, 421],
    [{ Host: "localhost", "X-Forwarded-Host": "evil.example," }, 421],
  ];
  for (const [headers, status] of byOthers) {
    test(`with names of its own answers ${status} to ${JSON.stringify(headers)}`, async () => {
      assert.equal((await ask(named.url, "GET", "/v2/", headers)).status, status);
    });
  }
});

test("a name that is none is repeated in the refusal, cut", async () => {
  const headers = { Host: "localhost", "X-Forwarded-Host": "$".repeat(5000) };
  const answer = await ask(named.url, "GET", "/v2/", headers);
  assert.equal(answer.status, 421);
  assert(answer.text.includes(`"${"$".repeat(100)}"`), answer.text);
});

test("a registry with credentials answers under every name", async () => {
  for (const host of [...loopback, ...strangers]) {
    assert.equal((await ask(closed.url, "GET", "/v2/", { Host: host, ...authorization })).status, 200);
  }
});

type Sent = [what: string, url: string, headers: HeaderList];

const foreign: Sent[] = [
  ["of another site", open.url, { "Sec-Fetch-Site": "cross-site" }],
  ["of another host of the site", open.url, { "Sec-Fetch-Site": "same-site" }],
  ["of a relation that no browser has named yet", open.url, { "Sec-Fetch-Site": "near-site" }],
  ["of two relations", open.url, { "Sec-Fetch-Site": "none, cross-site" }],
  ["of another origin", open.url, { Origin: "https://evil.example" }],
  ["of no origin that may be told", open.url, { Origin: "null" }],
  ["of another port", open.url, { Origin: "http://localhost:1" }],
  ["of another scheme", open.url, { Origin: `https://localhost:${port}` }],
  ["of another name of this machine", open.url, { Origin: `http://127.0.0.1:${port}` }],
  ["of an origin that begins with its own", open.url, { Origin: `http://localhost:${port}.evil.example` }],
  ["of two origins", open.url, { Origin: `http://localhost:${port}, https://evil.example` }],
  [
    "of another origin that a browser calls its own",
    open.url,
    { "Sec-Fetch-Site": "same-origin", Origin: "https://evil.example" },
  ],
  [
    "of its own origin that a browser calls another site",
    open.url,
    { "Sec-Fetch-Site": "cross-site", Origin: `http://localhost:${port}` },
  ],
  ["of another site, with a password", closed.url, { ...authorization, "Sec-Fetch-Site": "cross-site" }],
  ["of another origin, with a password", closed.url, { ...authorization, Origin: "https://evil.example" }],
  ["of no origin, with a password", closed.url, { ...authorization, Origin: "null" }],
  [
    "of what a client says a proxy was asked for",
    closed.url,
    {
      ...authorization,
      Origin: "https://evil.example",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Proto": "https",
    },
  ],
  [
    "of what came before the proxy's own word",
    proxied.url,
    { ...authorization, Origin: "https://evil.example", "X-Forwarded-Host": "evil.example, images.example" },
  ],
  ["of another URL than its own", published.url, { ...authorization, Origin: "http://images.example" }],
];

const changes: [method: string, target: string][] = [
  ["POST", opening],
  ["POST", `${opening}?mount=sha256:${"0".repeat(64)}`],
  ["PATCH", `${opening}x`],
  ["PUT", `${opening}x`],
  ["DELETE", `${opening}x`],
  ["PUT", "/v2/team/app/manifests/v1"],
  ["DELETE", "/v2/team/app/manifests/v1"],
  ["DELETE", "/v2/team/app/blobs/x"],
  ["POST", "/token"],
  ["GET", "/token?scope=repository:team/app:push"],
  ["PUT", "/api/v1/accounts/x"],
  ["PATCH", "/api/v1/repositories/team/app"],
  ["POST", "/api/v1/gc"],
  ["GET", "/api/v1/accounts"],
  ["POST", "/v2/"],
  ["PROPFIND", "/v2/"],
  ["POST", "/nothing"],
];

describe("no change is made by a page", () => {
  for (const [what, url, headers] of foreign) {
    test(what, async () => {
      for (const [method, target] of changes) {
        const sent = { Host: `localhost:${port}`, ...empty, ...headers };
        const answer = await ask(url, method, target, sent);
        assert.equal(answer.status, 403, `${method} ${target}: ${answer.text}`);
        assert.match(errorOf(answer), /^(DENIED|SITE_FOREIGN)$/);
        assert.match(answer.text, /another site/);
      }
    });
  }

  test("while it may read what everybody may, for what that is worth without the answer", async () => {
    for (const [what, url, headers] of foreign) {
      for (const target of ["/v2/", "/healthz"]) {
        const answer = await ask(url, "GET", target, { Host: `localhost:${port}`, ...headers });
        assert.equal(answer.status, 200, `${what}: ${target}`);
      }
    }
  });
});

const own: Sent[] = [
  ["a client that says nothing", open.url, {}],
  ["an address line", open.url, { "Sec-Fetch-Site": "none" }],
  ["its own page", open.url, { "Sec-Fetch-Site": "same-origin", Origin: `http://localhost:${port}` }],
  ["its own page in an older browser", open.url, { Origin: `http://localhost:${port}` }],
  ["a client with a password", closed.url, authorization],
  ["its own page, with a password", closed.url, { ...authorization, Origin: `http://localhost:${port}` }],
  [
    "a page of what the proxy was asked for",
    proxied.url,
    { ...authorization, Origin: "https://images.example", "X-Forwarded-Host": "images.example" },
  ],
  [
    "a page of the default port",
    proxied.url,
    { ...authorization, Host: "images.example:443", Origin: "https://images.example" },
  ],
  ["a page of its own URL", published.url, { ...authorization, Origin: "https://images.example" }],
  ["a page of what was asked for", published.url, { ...authorization, Origin: `http://localhost:${port}` }],
];

describe("a change is made by", () => {
  for (const [what, url, headers] of own) {
    test(what, async () => {
      const sent = { Host: `localhost:${port}`, ...empty, ...headers };
      const answer = await ask(url, "POST", opening, sent);
      assert.equal(answer.status, 202, answer.text);
    });
  }
});
