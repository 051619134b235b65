/** What somebody may not pull, they learn nothing about. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import { fillPath } from "../../src/contract/address.ts";
import { contract } from "../../src/contract/contract.ts";
import type { Resource } from "../../src/contract/operation.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { essence, expectError } from "../support/answer.ts";
import type { Credential, RequestOptions } from "../support/client.ts";
import { admin } from "../support/closed-registry.ts";
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
import { until } from "../support/registry.ts";
import { startPrivateRegistry } from "./support/private-repositories.ts";

const { registry, alice, bob, pusher, puller, secretLayer, image, referrer, open, layer } =
  await startPrivateRegistry();

const scopes = ["repository:team/secret:pull,push,delete", "repository:team/absent:pull,push,delete"];
const strangers: [string, Credential | undefined][] = [
  ["nobody", undefined],
  ["nobody with a token", await registry.bearer(...scopes)],
  ["somebody else", bob],
  ["somebody else with a token that was asked for it", await registry.as(bob).bearer(...scopes)],
  [
    "somebody else with a token for something else",
    await registry.as(bob).bearer("repository:other/app:pull"),
  ],
  ["somebody else with a generated token", (await registry.generateToken("bob")).secret],
];

const requests: [string, string, RequestOptions?][] = [
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
            registry.send(method, `/v2/${name}/${path}`, { ...options, as }),
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
      const options: RequestOptions = json === undefined ? { as: bob } : { as: bob, json };
      const there = await registry.send(method, "/api/v1/repositories/team/secret", options);
      const missing = await registry.send(method, "/api/v1/repositories/team/absent", options);
      assert.equal(there.status, 403);
      assert.deepEqual(essence(there, "team/secret"), essence(missing, "team/absent"));
    }
  });

  test("by the token service", async () => {
    for (const as of [undefined, bob]) {
      const answers = await Promise.all(scopes.map((scope) => registry.as(as).askToken([scope])));
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
    registry.as(bob).bearer("repository:other/new:pull,push", "repository:team/secret:pull");
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
        assert.equal((await registry.send("GET", `/v2/other/new/blobs/${layer}`, { as })).status, 404);
      }
    });
  }

  test("is nothing for those who may not push", async () => {
    const target = `/v2/team/secret/blobs/uploads/?mount=${open.config}&from=open/app`;
    for (const as of [undefined, await registry.bearer("repository:open/app:pull")]) {
      assert.equal((await registry.send("POST", target, as === undefined ? {} : { as })).status, 401);
    }
    expectError(await registry.send("POST", target, { as: puller }), 403, "DENIED");
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
      assert.equal((await registry.send(method, target, options)).status, 401);
      expectError(await registry.send(method, target, { ...options, as: bob }), 403, "DENIED");
      const moved = `/v2/team/elsewhere/blobs/uploads/${id}?digest=${digest}`;
      expectError(await registry.send(method, moved, { ...options, as: alice }), 404, "BLOB_UPLOAD_UNKNOWN");
      expectError(
        await registry.send(method, target, { ...options, as: pusher }),
        404,
        "BLOB_UPLOAD_UNKNOWN",
      );
    }
    await registry.must(201, "PUT", `${location}?digest=${digest}`, { as: alice, body });
  });

  test("cannot be made up by who guesses its id", async () => {
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
      const answer = await registry.send("GET", `/v2/team/secret/blobs/uploads/${text}`, { as: alice });
      expectError(answer, 404, "BLOB_UPLOAD_UNKNOWN");
    }
  });
});

describe("the digest of another repository's private content", () => {
  test("opens nothing through an own repository", async () => {
    for (const digest of [layer, image.config, digestOf(secretLayer)]) {
      expectError(
        await registry.send("GET", `/v2/other/app/blobs/${digest}`, { as: bob }),
        404,
        "BLOB_UNKNOWN",
      );
      await registry.must(404, "HEAD", `/v2/other/app/blobs/${digest}`, { as: bob });
      expectError(await registry.send("GET", `/v2/open/app/blobs/${digest}`, {}), 404, "BLOB_UNKNOWN");
    }
    for (const digest of [image.digest, referrer.digest]) {
      const path = `/v2/other/app/manifests/${digest}`;
      expectError(await registry.send("GET", path, { as: bob }), 404, "MANIFEST_UNKNOWN");
      await registry.must(404, "HEAD", path, { as: bob });
      expectError(await registry.send("DELETE", path, { as: bob }), 404, "MANIFEST_UNKNOWN");
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
    await registry.as(bob).pushBlob("other/thief", config);
    const options = { as: bob, headers: { "Content-Type": type }, body: manifest };
    return registry.send("PUT", "/v2/other/thief/manifests/v1", options);
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

test("callers without a credential learn no names of accounts from a public repository", async () => {
  const repository = "shown/app";
  const account = "named-nowhere";
  const client = registry.as(
    await registry.account(account, [{ repository: "shown/**", verbs: ["pull", "push"] }]),
  );
  const image = await client.pushImage(repository, "v1");
  await client.pushManifest(repository, "old", imageIndex([]), imageIndexType);
  await client.pushManifest(repository, "old", imageIndex([], { annotations: { a: "b" } }), imageIndexType);
  await registry.setVisibility(repository, "public");
  const own = `/api/v1/repositories/${repository}`;
  const reads = [
    own,
    `${own}/tags`,
    `${own}/tags?sort=version`,
    `${own}/tags/v1`,
    `${own}/manifests/${image.digest}`,
    `${own}/references/v1`,
    "/api/v1/search?q=shown/app",
  ];
  await until("it to be found", async () => {
    const { text } = await registry.must(200, "GET", "/api/v1/search?q=shown/app", { as: admin });
    return text.includes(account);
  });
  for (const path of reads) {
    const named = await registry.must(200, "GET", path, { as: admin });
    const unnamed = await registry.must(200, "GET", path);
    assert(named.text.includes(account), path);
    assert(!unnamed.text.includes(account), `${path} names the account: ${unnamed.text}`);
  }
});

/** The paths below a repository that whoever may pull it reads: whoever at all, or by a grant. */
function readsOf(byGrant: boolean): string[] {
  const root = "/repositories/{name}";
  return Object.values<Resource>(contract)
    .flatMap((resource) => Object.entries(resource))
    .filter(([path, { GET }]) => {
      const access = path.startsWith(root) ? GET?.access : undefined;
      if (typeof access !== "object" || access.repository !== "pull") return false;
      return "byGrant" in access === byGrant;
    })
    .map(([path]) => path.slice(root.length));
}

test("who may pull only because a repository is public sees its tags, and nothing of what was before", async () => {
  const own = "/api/v1/repositories/shown/service";
  const client = registry.as(admin);
  const { digest, config } = await client.pushImage("shown/service", "v1");
  await client.pushImage("shown/service", "v2");
  await client.must(202, "DELETE", "/v2/shown/service/manifests/v2");
  await client.must(200, "PUT", `${own}/tags/v1/hold`, { json: { reason: "of a customer" } });
  await registry.setVisibility("shown/service", "public");
  const outsider = await registry.account("outsider", [{ repository: "else/**", verbs: ["pull"] }]);
  const member = await registry.account("member", [{ repository: "shown/*", verbs: ["pull"] }]);
  const pathOf = (path: string) =>
    fillPath(path, { tag: "v1", reference: "v1", digest: path.startsWith("/blobs/") ? config : digest });
  const seen = [
    "",
    "/tags",
    "/tags/{tag}",
    "/references/{reference}",
    "/policy",
    "/manifests/{digest}",
    "/manifests/{digest}/content",
    "/blobs/{digest}/content",
  ];
  const hidden = ["/history", "/tags/{tag}/history", "/untagged", "/manifests"];
  assert.deepEqual(readsOf(false).toSorted(), seen.toSorted(), "every path that is read is here");
  assert.deepEqual(readsOf(true).toSorted(), hidden.toSorted(), "every path that is read is here");
  for (const path of seen.map(pathOf)) {
    for (const as of [undefined, outsider, member]) await registry.must(200, "GET", own + path, { as });
  }
  for (const path of [...hidden.map(pathOf), "/tags/v2/history"]) {
    await registry.must(200, "GET", own + path, { as: member });
    await registry.must(401, "GET", own + path);
    const absent = await registry.must(403, "GET", `/api/v1/repositories/shown/absent${path}`, {
      as: outsider,
    });
    const refused = await registry.must(403, "GET", own + path, { as: outsider });
    assert.deepEqual(essence(refused, "shown/service"), essence(absent, "shown/absent"), path);
  }
  const heldFor = async (as: Credential | undefined) => {
    const { text } = await registry.must(200, "GET", `${own}/policy`, { as });
    return [text.includes('"tag":"v1"'), text.includes("of a customer"), text.includes("admin")];
  };
  assert.deepEqual(await heldFor(member), [true, true, true]);
  for (const as of [undefined, outsider]) assert.deepEqual(await heldFor(as), [true, false, false]);
});

test("that everybody may pull from a repository lets nobody change it", async () => {
  const name = "shown/library";
  const { digest, config } = await registry.as(admin).pushImage(name, "v1");
  await registry.setVisibility(name, "public");
  const outsider = await registry.account("passer-by", [{ repository: "else/**", verbs: ["pull", "push"] }]);
  const scope = `repository:${name}:pull,push,delete`;
  const changes: [method: string, path: string][] = [
    ["POST", `/v2/${name}/blobs/uploads/`],
    ["PUT", `/v2/${name}/manifests/v2`],
    ["DELETE", `/v2/${name}/manifests/v1`],
    ["DELETE", `/v2/${name}/manifests/${digest}`],
    ["DELETE", `/v2/${name}/blobs/${config}`],
    ["PATCH", `/api/v1/repositories/${name}`],
    ["DELETE", `/api/v1/repositories/${name}/tags/v1`],
    ["DELETE", `/api/v1/repositories/${name}`],
  ];
  const callers = [
    undefined,
    outsider,
    await registry.bearer(scope),
    await registry.as(outsider).bearer(scope),
  ];
  for (const as of callers) {
    await registry.must(200, "GET", `/v2/${name}/manifests/v1`, { as });
    for (const [method, path] of changes) {
      const { status, text } = await registry.send(method, path, { as, json: {} });
      assert([401, 403].includes(status), `${method} ${path}: ${status} ${text}`);
    }
  }
});
