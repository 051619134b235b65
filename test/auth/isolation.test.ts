/** What somebody may not pull, they learn nothing about; what somebody may not do, leaves no trace. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import {
  configType,
  content,
  describe as describeBlob,
  digestOf,
  imageIndex,
  imageManifest,
  layerType,
  unknownDigest,
} from "../support/content.ts";
import { exchange, head } from "../support/raw.ts";
import {
  admin,
  basic,
  type CallOptions,
  type Credential,
  essence,
  expectError,
  serveClosed,
} from "./support/registry.ts";

const registry = await serveClosed();
const alice = await registry.account("alice", [{ repository: "team/**", verbs: ["pull", "push"] }]);
const bob = await registry.account("bob", [{ repository: "other/*", verbs: ["pull", "push", "delete"] }]);
const pusher = await registry.account("pusher", [{ repository: "team/secret", verbs: ["push"] }]);
const cleaner = await registry.account("cleaner", [{ repository: "team/secret", verbs: ["delete"] }]);
const puller = await registry.account("puller", [{ repository: "team/secret", verbs: ["pull"] }]);

const secretLayer = content();
const image = await registry.pushImage(alice, "team/secret", "v1");
await registry.pushBlob(alice, "team/secret", secretLayer);
const referrer = await registry.pushImage(alice, "team/secret", "signature", {
  artifactType: "application/example",
  subject: { mediaType: imageManifestType, digest: image.digest, size: image.manifest.byteLength },
});
const open = await registry.pushImage(admin, "open/app", "v1");
await registry.setVisibility("open/app", "public");
const theirs = await registry.pushImage(bob, "other/app", "v1");
const layer = image.layers[0] ?? "";

// What a caller with rights has just read lies in the isolate's memory.
for (const path of [`manifests/${image.digest}`, "manifests/v1", `blobs/${layer}`, `blobs/${image.config}`]) {
  await registry.must(200, "GET", `/v2/team/secret/${path}`, { as: alice });
}

const scopes = ["repository:team/secret:pull,push,delete", "repository:team/absent:pull,push,delete"];
const strangers: [string, Credential | undefined][] = [
  ["nobody", undefined],
  ["nobody with a token", await registry.bearer(undefined, ...scopes)],
  ["somebody else", bob],
  ["somebody else with a token that was asked for it", await registry.bearer(bob, ...scopes)],
  ["somebody else with a token for something else", await registry.bearer(bob, "repository:other/app:pull")],
  ["somebody else with a generated token", (await registry.generateToken("bob")).secret],
];

const requests: [string, string, CallOptions?][] = [
  ["GET", "manifests/v1"],
  ["HEAD", "manifests/v1"],
  ["GET", `manifests/${image.digest}`],
  ["HEAD", `manifests/${image.digest}`],
  ["GET", `manifests/${image.digest}`, { headers: { "If-None-Match": `"${image.digest}"` } }],
  ["GET", "manifests/not a tag"],
  ["GET", `blobs/${layer}`],
  ["HEAD", `blobs/${layer}`],
  ["GET", `blobs/${layer}`, { headers: { Range: "bytes=0-0" } }],
  ["GET", "blobs/no-digest"],
  ["GET", "tags/list"],
  ["GET", "tags/list?n=x"],
  ["GET", `referrers/${image.digest}`],
  ["PUT", "manifests/v1", { headers: { "Content-Type": imageManifestType }, body: image.manifest }],
  ["DELETE", "manifests/v1"],
  ["DELETE", `manifests/${image.digest}`],
  ["DELETE", `blobs/${layer}`],
  ["POST", "blobs/uploads/"],
  ["POST", `blobs/uploads/?digest=${layer}`, { body: "x" }],
  ["POST", `blobs/uploads/?mount=${layer}&from=other/app`],
  ["GET", "blobs/uploads/x"],
  ["PATCH", "blobs/uploads/x", { body: "x" }],
  ["PUT", `blobs/uploads/x?digest=${layer}`, { body: "x" }],
  ["DELETE", "blobs/uploads/x"],
];

describe("a private repository is not to be told from a missing one", () => {
  for (const [who, as] of strangers) {
    test(`by ${who}`, async () => {
      for (const [method, path, options] of requests) {
        const [there, missing] = await Promise.all(
          ["team/secret", "team/absent"].map((name) =>
            registry.call(method, `/v2/${name}/${path}`, { ...options, as }),
          ),
        );
        assert(there !== undefined && missing !== undefined);
        assert([401, 403].includes(there.status), `${method} ${path}: ${there.status}`);
        assert.deepEqual(essence(there, "team/secret"), essence(missing, "team/absent"), `${method} ${path}`);
      }
    });
  }

  test("by the management API", async () => {
    for (const [method, json] of [
      ["PATCH", { visibility: "public" }],
      ["DELETE", undefined],
    ] as const) {
      const options: CallOptions = json === undefined ? { as: bob } : { as: bob, json };
      const there = await registry.call(method, "/api/v1/repositories/team/secret", options);
      const missing = await registry.call(method, "/api/v1/repositories/team/absent", options);
      assert.equal(there.status, 403);
      assert.deepEqual(essence(there, "team/secret"), essence(missing, "team/absent"));
    }
  });

  test("by the token service", async () => {
    for (const as of [undefined, bob]) {
      const answers = await Promise.all(scopes.map((scope) => registry.askToken(as, [scope])));
      const said = answers.map(({ token, scope }) => {
        const { access } = decodeJwt(token);
        return [scope, JSON.stringify(access).replace(/team\/\w+/, "NAME")];
      });
      assert.deepEqual(said[0], said[1]);
    }
  });
});

describe("a mount", () => {
  const cases: [string, string][] = [
    ["from a private repository", `mount=${layer}&from=team/secret`],
    ["from a missing repository", `mount=${layer}&from=team/absent`],
    ["of a digest that nobody has", `mount=${unknownDigest()}&from=team/secret`],
    ["of a private blob from wherever it is", `mount=${layer}`],
    ["of nobody's blob from wherever it is", `mount=${unknownDigest()}`],
    ["of a private blob from a public repository", `mount=${layer}&from=open/app`],
    ["of a private blob from an own repository", `mount=${layer}&from=other/app`],
    ["of a private blob from the target itself", `mount=${layer}&from=other/new`],
    ["from nowhere", `mount=${layer}&from=`],
  ];
  const bearerOfBoth = () =>
    registry.bearer(bob, "repository:other/new:pull,push", "repository:team/secret:pull");
  for (const [what, query] of cases) {
    test(`${what} is an upload like any other`, async () => {
      for (const as of [bob, await bearerOfBoth()]) {
        const plain = await registry.must(202, "POST", "/v2/other/new/blobs/uploads/", { as });
        const answer = await registry.must(202, "POST", `/v2/other/new/blobs/uploads/?${query}`, { as });
        const ids = (of: typeof plain) => [
          of.header("Location").split("/").at(-1) ?? "",
          of.header("Docker-Upload-UUID"),
        ];
        assert.deepEqual(essence(answer, ...ids(answer)), essence(plain, ...ids(plain)));
        assert.equal((await registry.call("GET", `/v2/other/new/blobs/${layer}`, { as })).status, 404);
      }
    });
  }

  test("of what the caller may pull succeeds, also where the token at hand is for the target alone", async () => {
    const [shared = ""] = theirs.layers;
    const as = await registry.bearer(bob, "repository:other/mounted:push");
    await registry.must(201, "POST", `/v2/other/mounted/blobs/uploads/?mount=${shared}&from=other/app`, {
      as,
    });
    const fromPublic = `?mount=${open.config}&from=open/app`;
    await registry.must(201, "POST", `/v2/other/mounted/blobs/uploads/${fromPublic}`, { as });
  });

  test("is nothing for those who may not push", async () => {
    const target = `/v2/team/secret/blobs/uploads/?mount=${open.config}&from=open/app`;
    for (const as of [undefined, await registry.bearer(undefined, "repository:open/app:pull")]) {
      assert.equal((await registry.call("POST", target, as === undefined ? {} : { as })).status, 401);
    }
    expectError(await registry.call("POST", target, { as: puller }), 403, "DENIED");
  });

  test("by a narrowed token reaches no further than the token", async () => {
    const { secret } = await registry.generateToken("alice", {
      grants: [{ repository: "team/build", verbs: ["pull", "push"] }],
    });
    const bearer = await registry.bearer(
      { name: "alice", password: secret },
      "repository:team/build:pull,push",
    );
    for (const as of [secret, bearer]) {
      const target = `/v2/team/build/blobs/uploads/?mount=${layer}&from=team/secret`;
      await registry.must(202, "POST", target, { as });
    }
  });
});

describe("an upload session", () => {
  test("is worth nothing to other accounts, on other repositories, or without a credential", async () => {
    const opened = await registry.must(202, "POST", "/v2/team/secret/blobs/uploads/", { as: alice });
    const location = opened.header("Location");
    const id = location.split("/").at(-1);
    const body = content();
    const digest = digestOf(body);
    for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
      const options = method === "PATCH" || method === "PUT" ? { body } : {};
      const target = `${location}?digest=${digest}`;
      assert.equal((await registry.call(method, target, options)).status, 401);
      expectError(await registry.call(method, target, { ...options, as: bob }), 403, "DENIED");
      const moved = `/v2/team/elsewhere/blobs/uploads/${id}?digest=${digest}`;
      expectError(await registry.call(method, moved, { ...options, as: alice }), 404, "BLOB_UPLOAD_UNKNOWN");
      expectError(
        await registry.call(method, target, { ...options, as: pusher }),
        404,
        "BLOB_UPLOAD_UNKNOWN",
      );
    }
    await registry.must(201, "PUT", `${location}?digest=${digest}`, { as: alice, body });
  });

  test("cannot be made up", async () => {
    const opened = await registry.must(202, "POST", "/v2/team/secret/blobs/uploads/", { as: alice });
    const id = opened.header("Location").split("/").at(-1) ?? "";
    const [uuid = "", issued = "", flags = "", signature = ""] = id.split(".");
    const forged = [
      uuid,
      `${crypto.randomUUID()}.${issued}.${flags}.${signature}`,
      `${uuid}.zzzzzz.${flags}.${signature}`,
      `${uuid}.${issued}.as.${signature}`,
      `${uuid}.${issued}.${flags}.${"A".repeat(43)}`,
      `${uuid}.${issued}.${flags}.`,
      `${id}.x`,
      encodeURIComponent(`${id}\n`),
      "%00",
      "%",
    ];
    for (const text of forged) {
      const answer = await registry.call("GET", `/v2/team/secret/blobs/uploads/${text}`, { as: alice });
      expectError(answer, 404, "BLOB_UPLOAD_UNKNOWN");
    }
  });
});

describe("the digest of another repository's private content", () => {
  test("opens nothing through an own repository", async () => {
    for (const digest of [layer, image.config, digestOf(secretLayer)]) {
      expectError(
        await registry.call("GET", `/v2/other/app/blobs/${digest}`, { as: bob }),
        404,
        "BLOB_UNKNOWN",
      );
      await registry.must(404, "HEAD", `/v2/other/app/blobs/${digest}`, { as: bob });
      expectError(await registry.call("GET", `/v2/open/app/blobs/${digest}`, {}), 404, "BLOB_UNKNOWN");
    }
    for (const digest of [image.digest, referrer.digest]) {
      const path = `/v2/other/app/manifests/${digest}`;
      expectError(await registry.call("GET", path, { as: bob }), 404, "MANIFEST_UNKNOWN");
      await registry.must(404, "HEAD", path, { as: bob });
      expectError(await registry.call("DELETE", path, { as: bob }), 404, "MANIFEST_UNKNOWN");
    }
  });

  const config = content();
  const layerOf = (digest: string, more: object = {}) => ({
    mediaType: layerType,
    digest,
    size: 100,
    ...more,
  });
  const put = async (manifest: Uint8Array, type = imageManifestType) => {
    await registry.pushBlob(bob, "other/thief", config);
    const options = { as: bob, headers: { "Content-Type": type }, body: manifest };
    return registry.call("PUT", "/v2/other/thief/manifests/v1", options);
  };

  test("cannot be referenced", async () => {
    const manifest = imageManifest(describeBlob(config, configType), [layerOf(layer)]);
    const index = imageIndex([
      { mediaType: imageManifestType, digest: image.digest, size: image.manifest.byteLength },
    ]);
    for (const refused of [await put(manifest), await put(index, imageIndexType)]) {
      assert.equal(refused.status, 404, refused.text);
    }
    const unknown = imageManifest(describeBlob(config, configType), [layerOf(unknownDigest())]);
    const plain = (text: string) => text.replace(/sha256:[0-9a-f]{64}/g, "DIGEST");
    assert.equal(plain((await put(manifest)).text), plain((await put(unknown)).text));
  });

  test("is not pulled through a manifest that names it as a layer from elsewhere, or as its subject", async () => {
    const manifest = imageManifest(
      describeBlob(config, configType),
      [layerOf(layer, { urls: ["https://example.com/layer"] })],
      { subject: { mediaType: imageManifestType, digest: image.digest, size: image.manifest.byteLength } },
    );
    const stored = await put(manifest);
    assert.equal(stored.status, 201, stored.text);
    await registry.must(200, "GET", "/v2/other/thief/manifests/v1", { as: bob });
    for (const path of [`blobs/${layer}`, `manifests/${image.digest}`]) {
      await registry.must(404, "GET", `/v2/other/thief/${path}`, { as: bob });
      await registry.must(404, "HEAD", `/v2/other/thief/${path}`, { as: bob });
    }
    const list = await registry.must(200, "GET", `/v2/other/thief/referrers/${image.digest}`, { as: bob });
    assert(!list.text.includes(referrer.digest));
    const own = await registry.must(200, "GET", `/v2/team/secret/referrers/${image.digest}`, { as: alice });
    assert(own.text.includes(referrer.digest) && !own.text.includes(stored.header("Docker-Content-Digest")));
  });
});

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
    expectError(await registry.call("GET", "/v2/team/secret/tags/list", { as: bob, headers }), 403, "DENIED");
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
    "REPOSITORY:team/secret:PULL",
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
        assert.equal((await registry.call("GET", "/v2/_catalog", { as: token })).status, 401);
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
    expectError(await registry.call("POST", "/token", { form: tooLarge }), 400, "UNSUPPORTED");
  });

  test("one that is asked for twice is granted once, with what is allowed of both", async () => {
    const token = await registry.bearer(
      bob,
      "repository:other/app:pull repository:other/app:push,admin",
      "repository:other/app:pull",
    );
    const access = decodeJwt(token).access as { name: string; actions: string[] }[];
    assert.deepEqual(
      access.map(({ name, actions }) => [name, actions]),
      [["other/app", ["pull", "push"]]],
    );
  });
});

describe("verbs", () => {
  const cases: [string, Credential, string, string, number, CallOptions?][] = [
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
    const as = await registry.bearer(alice, "repository:team/secret:pull");
    await registry.must(200, "GET", "/v2/team/secret/manifests/v1", { as });
    const refused = await registry.call("POST", "/v2/team/secret/blobs/uploads/", { as });
    expectError(refused, 401, "UNAUTHORIZED");
    assert.match(
      refused.header("WWW-Authenticate"),
      /scope="repository:team\/secret:pull,push",error="insufficient_scope"$/,
    );
    const elsewhere = await registry.call("GET", "/v2/team/other/tags/list", { as });
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
    const catalogToken = (as: Credential | undefined) => registry.bearer(as, "registry:catalog:*");
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
    const as = await registry.bearer(alice, "repository:team/secret:pull");
    const refused = await registry.call("GET", "/v2/_catalog", { as });
    expectError(refused, 401, "UNAUTHORIZED");
    assert.match(
      refused.header("WWW-Authenticate"),
      /scope="registry:catalog:\*",error="insufficient_scope"$/,
    );
    assert.equal((await registry.call("GET", "/api/v1/repositories", { as })).status, 401);
  });
});

test("what was refused has changed nothing", async () => {
  const tags = await registry.must(200, "GET", "/v2/team/secret/tags/list", { as: alice });
  assert.deepEqual(tags.json(), { name: "team/secret", tags: ["signature", "v1"] });
  await registry.must(200, "GET", `/v2/team/secret/blobs/${layer}`, { as: alice });
  await registry.must(404, "GET", "/v2/team/absent/tags/list", { as: alice });
});
