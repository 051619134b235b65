/** Names, scopes and verbs: what does not reach further than it was granted, however it is written. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import { expectError } from "../support/answer.ts";
import { basic, type Credential, type RequestOptions } from "../support/client.ts";
import { digestOf } from "../support/content.ts";
import { exchange, head } from "../support/raw.ts";
import { startPrivateRegistry } from "./support/private-repositories.ts";

const { registry, alice, bob, pusher, cleaner, puller, secretLayer, image, layer } =
  await startPrivateRegistry();

describe("names that are written another way reach nothing", () => {
  const targets = [
    "/v2/other/../team/secret/tags/list",
    "/v2/other/%2e%2e/team/secret/tags/list",
    "/v2/other/%2E%2E/team/secret/tags/list",
    "/v2/other/.%2e/team/secret/tags/list",
    "/v2/other/..%2fteam/secret/tags/list",
    "/v2/other%2f..%2fteam%2fsecret/tags/list",
    "/v2/other/x/..\\..\\team/secret/tags/list",
    "/v2/team%2fsecret/tags/list",
    "/v2/team%252fsecret/tags/list",
    "/v2//team/secret/tags/list",
    "/v2/team//secret/tags/list",
    "/v2/team/secret//tags/list",
    "/v2/./team/secret/tags/list",
    "//v2/team/secret/tags/list",
    "/v2/TEAM/secret/tags/list",
    "/V2/team/secret/tags/list",
    "/v2/team/secret/tags/list/",
    "/v2/team/secret/tags/list;x",
    "/v2/team/secret%00/tags/list",
    "/v2/team/secret%20/tags/list",
    "/v2/team/secret%0a/tags/list",
    "/v2/t%65am/secret/tags/list",
    "/v2/ｔeam/secret/tags/list",
    "/v2/other/app/blobs/x/../../../../team/secret/tags/list",
    "/v2/other/app/manifests/v1/../../../../team/secret/tags/list",
    "/v2/other/tags/list/../../../team/secret/tags/list",
    `/v2/other/app/blobs/..%2f..%2f..%2fteam%2fsecret%2fblobs%2f${layer}`,
    `/v2/other/app/manifests/..%2f..%2f..%2fteam%2fsecret%2fmanifests%2f${image.digest}`,
    "/v2/**/tags/list",
    "/v2/team/*/tags/list",
    "/v2/other/app/../../team/secret/manifests/v1",
    "/api/v1/repositories/../../v2/team/secret/tags/list",
    "/v2/team/secret/tags/list?name=other/app&account=alice&scope=repository:team/secret:pull",
    "/v2/other/app/tags/list/../../../../team/secret/manifests/v1",
    "/v2/team/secret/manifests/v1#/v2/other/app/manifests/v1",
  ];
  const asBob = { Authorization: basic(bob.name, bob.password) };
  for (const target of targets) {
    test(target, async () => {
      for (const headers of [asBob, {}]) {
        const answer = await exchange(registry.url, head("GET", target, headers));
        assert(answer !== undefined);
        assert([400, 401, 403, 404].includes(answer.status), `${answer.status} ${answer.text}`);
        assert(!answer.text.includes("v1") && !answer.text.includes("signature"), answer.text);
      }
    });
  }

  test("nor do headers that name another path or method", async () => {
    const headers = {
      "X-Original-URL": "/v2/other/app/tags/list",
      "X-Rewrite-URL": "/v2/team/secret/tags/list",
      "X-Forwarded-For": "127.0.0.1",
      "X-Forwarded-User": "alice",
      "X-HTTP-Method-Override": "DELETE",
      Cookie: "account=admin",
    };
    expectError(await registry.send("GET", "/v2/team/secret/tags/list", { as: bob, headers }), 403, "DENIED");
    await registry.must(200, "GET", "/v2/other/app/tags/list", { as: bob, headers });
    await registry.must(200, "GET", "/v2/other/app/manifests/v1", { as: bob, headers });
  });
});

describe("scopes that grant nothing", () => {
  const none = [
    "",
    ":",
    "::",
    ":::",
    "repository",
    "repository:",
    "repository:team/secret",
    "repository::pull",
    "repository:team/secret:",
    "repository:team/secret:pull",
    "repository:team/secret:*",
    "repository:team/secret:pull,push,delete,admin,*",
    "repository:TEAM/secret:pull",
    "repository:*:pull",
    "repository:**:*",
    "repository:other/*:pull",
    "repository:other/**:pull",
    "repository:team/*:pull",
    "repository:other/../team/secret:pull",
    "repository:other/app/../../team/secret:pull",
    "repository:other%2f..%2fteam%2fsecret:pull",
    "repository:/team/secret:pull",
    "repository:team/secret/:pull",
    "repository:team//secret:pull",
    "repository:team/secret:pull:push",
    "repository:host:5000/team/secret:pull",
    "repository(plugin):team/secret:pull",
    "repository(*):team/secret:pull",
    "Repository:team/secret:pull",
    "LEDGERS:team/secret:PULL",
    "repository:other/app:PULL",
    "repository:other/app:admin",
    "repository:other/a/b:pull",
    "repository:other:pull",
    "repository:otherx/app:pull",
    "repository:team/secret:pull\u0000",
    "repository:team\u0000/secret:pull",
    "repository:__proto__:pull",
    "repository:constructor:pull",
    "registry:*:*",
    "registry:catalog:pull",
    "registry:catalog:",
    "account:admin:*",
    "repository:\u{1f600}:pull",
    "repository:t\u{435}am/secret:pull",
    `repository:${"a".repeat(256)}:pull`,
    `repository:${"a/".repeat(5000)}a:pull`,
    `repository:team/secret:${"pull,".repeat(5000)}`,
  ];
  for (const scope of none) {
    test(JSON.stringify(scope).slice(0, 80), async () => {
      const form: [string, string][] = [
        ["grant_type", "password"],
        ["username", bob.name],
        ["password", bob.password],
        ["scope", scope],
      ];
      const answers = [await registry.must(200, "POST", "/token", { form })];
      if (scope.length < 5000) {
        const query = new URLSearchParams({ scope });
        answers.push(await registry.must(200, "GET", `/token?${query}`, { as: bob }));
      }
      for (const answer of answers) {
        const { access_token: token, scope: said } = answer.json<{ access_token: string; scope: string }>();
        const access = decodeJwt(token).access as { actions: string[] }[];
        assert.deepEqual(
          access.flatMap(({ actions }) => actions),
          [],
        );
        assert.equal(said, "");
        assert.equal((await registry.send("GET", "/v2/_catalog", { as: token })).status, 401);
      }
    });
  }

  test("thousands in one request", async () => {
    const form: [string, string][] = [
      ["grant_type", "password"],
      ["username", bob.name],
      ["password", bob.password],
      ...Array.from({ length: 1000 }, (_, i): [string, string] => [
        "scope",
        `repository:team/s${i}:pull,push`,
      ]),
    ];
    const answer = await registry.must(200, "POST", "/token", { form });
    const { token } = answer.json<{ token: string }>();
    assert((decodeJwt(token).access as unknown[]).length <= 100);
    await registry.must(200, "GET", "/v2/", { as: token });
    const many = Array.from({ length: 300 }, (_, i) => `scope=repository:t/s${i}:pull`).join("&");
    await registry.must(200, "GET", `/token?${many}`, { as: bob });
    const invalid = Array.from({ length: 6000 }, () => ["scope", "x"] as [string, string]);
    await registry.must(200, "POST", "/token", { form: [...form.slice(0, 3), ...invalid] });
    const tooLarge = Array.from({ length: 9000 }, () => ["scope", "repository:a:b"] as [string, string]);
    expectError(await registry.send("POST", "/token", { form: tooLarge }), 400, "UNSUPPORTED");
  });

  test("one that is asked for twice is granted once, with what is allowed of both", async () => {
    const token = await registry
      .as(bob)
      .bearer("repository:other/app:pull repository:other/app:push,admin", "repository:other/app:pull");
    const access = decodeJwt(token).access as { name: string; actions: string[] }[];
    assert.deepEqual(
      access.map(({ name, actions }) => [name, actions]),
      [["other/app", ["pull", "push"]]],
    );
  });
});

describe("verbs", () => {
  const cases: [string, Credential, string, string, number, RequestOptions?][] = [
    ["push asks what is there", pusher, "HEAD", `blobs/${layer}`, 200],
    ["push asks what is there", pusher, "HEAD", `manifests/${image.digest}`, 200],
    ["push asks what is there", pusher, "HEAD", "manifests/v1", 200],
    ["push is not pull", pusher, "GET", `blobs/${layer}`, 403],
    ["push is not pull", pusher, "GET", "manifests/v1", 403],
    ["push does not list tags", pusher, "HEAD", "tags/list?n=1", 403],
    ["push does not list tags", pusher, "GET", "tags/list", 403],
    ["push does not list referrers", pusher, "HEAD", `referrers/${image.digest}`, 403],
    ["push is not delete", pusher, "DELETE", "manifests/v1", 403],
    ["push is not delete", pusher, "DELETE", `blobs/${digestOf(secretLayer)}`, 403],
    ["pull is not push", puller, "POST", "blobs/uploads/", 403],
    ["pull is not push", puller, "PUT", "manifests/v1", 403, { body: image.manifest }],
    ["pull is not delete", puller, "DELETE", "manifests/v1", 403],
    ["delete is not pull", cleaner, "GET", "manifests/v1", 403],
    ["delete is not pull", cleaner, "HEAD", "manifests/v1", 403],
    ["delete is not push", cleaner, "POST", "blobs/uploads/", 403],
    ["delete deletes", cleaner, "DELETE", `blobs/${digestOf(secretLayer)}`, 202],
  ];
  for (const [what, as, method, path, status, options] of cases) {
    test(`${what}: ${method} ${path.slice(0, 40)}`, async () => {
      await registry.must(status, method, `/v2/team/secret/${path}`, { ...options, as });
    });
  }

  test("a token asked for less does less than its account may", async () => {
    const as = await registry.as(alice).bearer("repository:team/secret:pull");
    await registry.must(200, "GET", "/v2/team/secret/manifests/v1", { as });
    const refused = await registry.send("POST", "/v2/team/secret/blobs/uploads/", { as });
    expectError(refused, 401, "UNAUTHORIZED");
    assert.match(
      refused.header("WWW-Authenticate"),
      /scope="repository:team\/secret:pull,push",error="insufficient_scope"$/,
    );
    const elsewhere = await registry.send("GET", "/v2/team/other/tags/list", { as });
    assert.match(elsewhere.header("WWW-Authenticate"), /error="insufficient_scope"$/);
  });

  test("admin of a repository is not admin of the registry", async () => {
    const owner = await registry.account("owner", [{ repository: "team/**", verbs: ["admin"] }]);
    const everywhere = await registry.account("everywhere", [{ repository: "*/**", verbs: ["admin"] }]);
    for (const as of [owner, everywhere]) {
      for (const [method, path, json] of [
        ["GET", "/api/v1/accounts"],
        ["PUT", "/api/v1/accounts/bob", { grants: [{ repository: "**", verbs: ["admin"] }] }],
        ["PUT", `/api/v1/accounts/${as.name}`, { grants: [{ repository: "**", verbs: ["admin"] }] }],
        ["GET", "/api/v1/audit"],
        ["POST", "/api/v1/explain", {}],
        ["POST", "/api/v1/keys/rotate"],
        ["POST", "/api/v1/accounts/admin/tokens", { description: "x" }],
        ["GET", "/api/v1/accounts/admin/tokens"],
        ["POST", "/api/v1/accounts/bob/tokens", { description: "x" }],
      ] as const) {
        await registry.must(403, method, path, json === undefined ? { as } : { as, json });
      }
    }
    await registry.must(200, "PATCH", "/api/v1/repositories/team/secret", {
      as: owner,
      json: { description: "d" },
    });
  });
});

describe("lists", () => {
  const list = async (path: string, as: Credential) => {
    const answer = await registry.must(200, "GET", path, { as });
    const { repositories } = answer.json<{ repositories: (string | { name: string })[] }>();
    return repositories.map((entry) => (typeof entry === "string" ? entry : entry.name));
  };

  test("show everybody what they may pull", async () => {
    const catalogToken = (as: Credential | undefined) => registry.as(as).bearer("registry:catalog:*");
    assert.deepEqual(await list("/v2/_catalog", puller), ["open/app", "team/secret"]);
    assert.deepEqual(await list("/v2/_catalog", pusher), ["open/app"]);
    assert.deepEqual(await list("/v2/_catalog", await catalogToken(undefined)), ["open/app"]);
    assert.deepEqual(await list("/v2/_catalog", await catalogToken(puller)), ["open/app", "team/secret"]);
    assert(!(await list("/v2/_catalog", bob)).some((name) => name.startsWith("team")));
    assert.deepEqual(await list("/api/v1/repositories?query=secret", bob), []);
    assert.deepEqual(await list("/api/v1/repositories?query=secret", puller), ["team/secret"]);
    const { secret } = await registry.generateToken("alice", {
      grants: [{ repository: "team/nothing", verbs: ["pull"] }],
    });
    assert.deepEqual(await list("/v2/_catalog", { name: "alice", password: secret }), ["open/app"]);
    assert.deepEqual(await list("/v2/_catalog", await catalogToken({ name: "alice", password: secret })), [
      "open/app",
    ]);
  });

  test("show in their links no name that the caller may not see", async () => {
    for (let n = 0; n <= 4; n++) {
      for (const path of [
        `/v2/_catalog?n=${n}`,
        `/v2/_catalog?n=${n}&last=open`,
        `/api/v1/repositories?n=${n}`,
      ]) {
        const answer = await registry.must(200, "GET", path, { as: bob });
        assert(!JSON.stringify([...answer.headers]).includes("team"), path);
        assert(!answer.text.includes("team"), path);
      }
    }
  });

  test("are not for tokens that were asked for something else", async () => {
    const as = await registry.as(alice).bearer("repository:team/secret:pull");
    const refused = await registry.send("GET", "/v2/_catalog", { as });
    expectError(refused, 401, "UNAUTHORIZED");
    assert.match(
      refused.header("WWW-Authenticate"),
      /scope="registry:catalog:\*",error="insufficient_scope"$/,
    );
    assert.equal((await registry.send("GET", "/api/v1/repositories", { as })).status, 401);
  });
});

test("what was refused has changed nothing", async () => {
  const tags = await registry.must(200, "GET", "/v2/team/secret/tags/list", { as: alice });
  assert.deepEqual(tags.json(), { name: "team/secret", tags: ["signature", "v1"] });
  await registry.must(200, "GET", `/v2/team/secret/blobs/${layer}`, { as: alice });
  await registry.must(404, "GET", "/v2/team/absent/tags/list", { as: alice });
});
