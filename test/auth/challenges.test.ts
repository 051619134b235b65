/** How clients learn where to get a token, and that they may do without. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { essence, expectError } from "../support/answer.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { exchange, head } from "../support/raw.ts";

const registry = await startClosedRegistry();
const forwarding = await startClosedRegistry({
  TRUST_FORWARDED: "yes",
  AUTH_SERVICE: "images.example",
  TOKEN_TTL: "90s",
});
const elsewhere = await startClosedRegistry({ AUTH_REALM: "https://auth.example/token" });
const alice = await registry.account("alice", [
  { repository: "team/*", verbs: ["pull", "push"] },
  { repository: "shared/**", verbs: ["pull"] },
]);
await registry.as(admin).pushImage("open/app", "v1");
await registry.setVisibility("open/app", "public");

describe("a challenge names", () => {
  const service = 'service="stowage"';
  const cases: [string, string, string, Record<string, string>, string][] = [
    [
      "the host that was asked",
      "GET",
      "/v2/",
      { Host: "images.example" },
      `realm="http://images.example/token",${service}`,
    ],
    [
      "its port",
      "GET",
      "/v2/",
      { Host: "images.example:5000" },
      `realm="http://images.example:5000/token",${service}`,
    ],
    ["an address", "GET", "/v2/", { Host: "[::1]:5000" }, `realm="http://[::1]:5000/token",${service}`],
    [
      "no host that a stranger put in between",
      "GET",
      "/v2/",
      {
        Host: "images.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        Forwarded: "host=evil.example",
      },
      `realm="http://images.example/token",${service}`,
    ],
    [
      "what a pull needs",
      "GET",
      "/v2/team/app/manifests/v1",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:pull"`,
    ],
    [
      "what a push needs",
      "POST",
      "/v2/team/app/blobs/uploads/",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:pull,push"`,
    ],
    [
      "what a mount needs",
      "POST",
      "/v2/team/app/blobs/uploads/?mount=x&from=shared/base",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:pull,push repository:shared/base:pull"`,
    ],
    [
      "no source of what is not mounted",
      "POST",
      "/v2/team/app/blobs/uploads/?from=shared/base",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:pull,push"`,
    ],
    [
      "the name as it is, however it was written",
      "GET",
      "/v2/team%2Fapp/manifests/v1",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:pull"`,
    ],
    [
      "what a deletion needs",
      "DELETE",
      "/v2/team/app/manifests/v1",
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:team/app:delete"`,
    ],
    [
      "what the list needs",
      "GET",
      "/v2/_catalog",
      { Host: "a" },
      `realm="http://a/token",${service},scope="registry:catalog:*"`,
    ],
    [
      "nothing that would end its text",
      "POST",
      '/v2/a/blobs/uploads/?mount=x&from=b"c',
      { Host: "a" },
      `realm="http://a/token",${service},scope="repository:a:pull,push"`,
    ],
  ];
  for (const [what, method, target, headers, expected] of cases) {
    test(what, async () => {
      const answer = await exchange(registry.url, head(method, target, headers));
      assert(answer !== undefined);
      expectError(answer, 401, "UNAUTHORIZED");
      assert.equal(answer.header("WWW-Authenticate"), `Bearer ${expected}`);
    });
  }

  test("the error of a token that is no longer good", async () => {
    const answer = await registry.send("GET", "/v2/", { as: "x.y.z" });
    const expected = `Bearer realm="${registry.url}/token",service="stowage",error="invalid_token"`;
    assert.equal(answer.header("WWW-Authenticate"), expected);
  });

  test("no error of a token that is nobody's, as if there were none", async () => {
    const path = "/v2/team/app/manifests/v1";
    const [bare, nobodys] = [
      await registry.send("GET", path),
      await registry.send("GET", path, { as: await registry.bearer("repository:open/app:pull") }),
    ];
    expectError(nobodys, 401, "UNAUTHORIZED");
    assert.deepEqual(essence(nobodys), essence(bare));
    const expected = `Bearer realm="${registry.url}/token",service="stowage",scope="repository:team/app:pull"`;
    assert.equal(nobodys.header("WWW-Authenticate"), expected);
  });

  const forwarded: [Record<string, string>, string][] = [
    [{}, "http://inside.example"],
    [{ "X-Forwarded-Proto": "https", "X-Forwarded-Host": "images.example" }, "https://images.example"],
    [
      { "X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil.example, images.example:8443" },
      "https://images.example:8443",
    ],
    [{ "X-Forwarded-Proto": "javascript" }, "http://inside.example"],
    [{ "X-Forwarded-Host": 'evil",service="x' }, "http://inside.example"],
    [{ "X-Forwarded-Host": "evil.example/path" }, "http://inside.example"],
    [{ "X-Forwarded-Host": "evil.example@inside.example" }, "http://inside.example"],
    [{ "X-Forwarded-Host": "evil.example:99999" }, "http://inside.example"],
    [{ "X-Forwarded-Host": "images.example, " }, "http://inside.example"],
    [{ "X-Forwarded-Host": "" }, "http://inside.example"],
  ];
  for (const [headers, origin] of forwarded) {
    test(`where a proxy is trusted, ${origin} by ${JSON.stringify(headers)}`, async () => {
      const answer = await exchange(
        forwarding.url,
        head("GET", "/v2/", { Host: "inside.example", ...headers }),
      );
      assert.equal(
        answer?.header("WWW-Authenticate"),
        `Bearer realm="${origin}/token",service="images.example"`,
      );
    });
  }

  test("a token service elsewhere, where one is set", async () => {
    const answer = await elsewhere.send("GET", "/v2/");
    assert.equal(
      answer.header("WWW-Authenticate"),
      'Bearer realm="https://auth.example/token",service="stowage"',
    );
  });
});

describe("without a token", () => {
  test("a password works on every route", async () => {
    const image = await registry.as(alice).pushImage("team/basic", "v1");
    const { secret } = await registry.generateToken("alice");
    for (const as of [alice, { name: "alice", password: secret }, secret, admin]) {
      for (const path of [
        "/v2/",
        "/v2/_catalog",
        "/v2/team/basic/tags/list",
        "/v2/team/basic/manifests/v1",
        `/v2/team/basic/blobs/${image.config}`,
        `/v2/team/basic/referrers/${image.digest}`,
      ]) {
        await registry.must(200, "GET", path, { as });
      }
      await registry.as(as).pushImage("team/basic", "v2");
    }
    const refused = await registry.send("GET", "/v2/other/app/tags/list", { as: alice });
    expectError(refused, 403, "DENIED");
  });

  test("a registry without any credential lets nobody in, and says what to set", async () => {
    const none = await startClosedRegistry({ ADMIN_PASSWORD: "", ACCESS: "closed" }, { hasAdmin: false });
    for (const path of ["/v2/", "/token", "/api/v1/accounts"]) {
      const answer = await none.send("GET", path, { as: admin });
      assert.equal(answer.status, 403);
      assert.match(answer.text, /ADMIN_PASSWORD/);
    }
  });
});
