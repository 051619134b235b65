/** Who may pull through a cache, under which name, and what callers without a right learn and cause. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { contract } from "../../src/contract/contract.ts";
import type { Endpoint } from "../../src/contract/operation.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { call } from "../cli/command-line.ts";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { content, digestOf, unknownDigest } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { temporaryData } from "../support/temporary.ts";
import { end, ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const entry = { url: upstream.url, private: true, insecure: true };
const hub = { ...entry, id: "hub", aliases: ["docker.io"] };
const open = {
  ...entry,
  id: "open",
  aliases: ["open.example"],
  visibility: "public",
  repositories: ["team/*"],
};
const UPSTREAMS = JSON.stringify([hub, open]);
const PUBLIC_URL = "https://registry.example.com";
const registry = await startClosedRegistry({ UPSTREAMS, PUBLIC_URL, OWN_NAMES: "mirror.example" });
const puller = await registry.account("puller", [{ repository: "hub/library/*", verbs: ["pull"] }]);
const other = await registry.account("other", [
  { repository: "other/**", verbs: ["pull", "push", "delete"] },
]);
const pusher = await registry.account("pusher", [{ repository: "hub/**", verbs: ["push"] }]);

const image = upstream.addImage("library/alpine", [2000], "v1");
const digest = digestOf(image.layers[0] ?? content());

const paths = ["manifests/v1", `manifests/${image.digest}`, `blobs/${digest}`, `blobs/${image.config}`];

/** Asserts that these callers get nothing of the private cache, and cause no question. */
async function assertNothing(): Promise<void> {
  upstream.forget();
  for (const method of ["GET", "HEAD"]) {
    for (const path of paths) {
      for (const name of ["hub/library/alpine", "hub/alpine"])
        await registry.must(401, method, `/v2/${name}/${path}`);
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: other });
      await registry.must(403, method, `/v2/library/alpine/${path}?ns=docker.io`, { as: other });
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: pusher });
      const bearer = await registry.as(other).bearer("repository:hub/library/alpine:pull");
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: bearer });
    }
  }
  await registry.must(401, "GET", "/v2/hub/library/alpine/tags/list");
  const mount = `/v2/other/app/blobs/uploads/?mount=${digest}`;
  await registry.must(202, "POST", `${mount}&from=hub/library/alpine`, { as: other });
  await registry.must(202, "POST", `${mount}&from=hub/alpine`, { as: other });
  await registry.must(202, "POST", mount, { as: other });
  await registry.must(404, "GET", `/v2/other/app/blobs/${digest}`, { as: other });
  await registry.must(404, "GET", `/v2/other/app/blobs/${digest}`, { as: admin });
  const listed = await registry.must(200, "GET", "/api/v1/repositories?query=alpine", { as: other });
  assert.deepEqual(listed.json(), { repositories: [] });
  await assertNotFound(other);
  await assertNotFound(undefined);
  await assertNotManaged();
  await assertNotExported();
  assert.equal(upstream.seen.length, 0);
}

/** Asserts that the search finds nothing, by name, tag and digest. */
async function assertNotFound(as: Credential | undefined): Promise<void> {
  for (const text of ["alpine", "alpine:v1", "hub", image.digest, digest]) {
    const found = await registry.must(200, "GET", `/api/v1/search?q=${encodeURIComponent(text)}`, { as });
    assert.deepEqual(found.json(), { repositories: [], tags: [] });
  }
}

/** Asserts that no operation of the management API about a repository or an upstream answers: events, contents, lists. */
async function assertNotManaged(): Promise<void> {
  const named = { name: "hub/library/alpine", upstream: "hub", tag: "v1", reference: "v1" };
  let calls = 0;
  for (const endpoints of Object.values(contract))
    for (const [path, endpoint] of Object.entries<Endpoint>(endpoints)) {
      if (endpoint.GET === undefined || !/\{(name|upstream)\}|^\/(webhooks|audit|usage|deleted)$/.test(path))
        continue;
      const filled = path.replace(
        /\{(\w+)\}/g,
        (_, key) => ({ ...named, digest: image.digest })[key as "name"],
      );
      for (const [as, status] of [
        [other, 403],
        [pusher, 403],
        [undefined, 401],
      ] as const) {
        // Who may push learns what was deleted, and nothing was.
        if (as === pusher && path.endsWith("/deleted")) continue;
        await registry.must(status, "GET", `/api/v1${filled}`, { as });
      }
      calls++;
    }
  assert(calls > 10, "the contract has such operations");
}

/** Asserts that an export by a caller without the right has nothing of the cache. */
async function assertNotExported(): Promise<void> {
  const directory = temporaryData();
  const environment = {
    STOWAGE_URL: registry.url,
    STOWAGE_USER: other.name,
    STOWAGE_PASSWORD: other.password,
  };
  const exported = await call(["export", directory, "--json"], environment);
  assert.equal(exported.code, 0, exported.stderr);
  assert.equal(JSON.parse(exported.stdout).repositories, 0);
  const named = await call(["export", directory, "--repository", "hub/library/alpine"], environment);
  assert.notEqual(named.code, 0);
}

test("callers without a right get nothing before and after it is cached, and cause no question", async () => {
  await assertNothing();
  for (const path of paths) await registry.must(200, "GET", `/v2/hub/library/alpine/${path}`, { as: puller });
  await until("the search to have it", async () => {
    const found = await registry.must(200, "GET", "/api/v1/search?q=alpine:v1", { as: puller });
    return found.json<{ tags: unknown[] }>().tags.length === 1;
  });
  await assertNothing();
});

test("a challenge has the canonical name, and its token is for that", async () => {
  const answer = await registry.must(401, "GET", "/v2/alpine/manifests/v1?ns=docker.io");
  assert.match(answer.header("WWW-Authenticate"), /scope="repository:hub\/library\/alpine:pull"/);
  const mount = `/v2/other/app/blobs/uploads/?mount=${digest}&from=hub/alpine`;
  const refused = await registry.must(401, "POST", mount);
  assert.match(refused.header("WWW-Authenticate"), / repository:hub\/library\/alpine:pull"/);
  const token = await registry.as(puller).bearer("repository:hub/alpine:pull");
  await registry.must(200, "GET", "/v2/alpine/manifests/v1?ns=docker.io", { as: token });
  await registry.must(401, "GET", "/v2/hub/library/busybox/manifests/v1", { as: token });
});

test("the management API knows a cache by each form of its name", async () => {
  const everybodys = { ...hub, visibility: "public", repositories: ["library/*"] };
  const own = await startClosedRegistry({ UPSTREAMS: JSON.stringify([everybodys]) });
  await own.must(200, "GET", "/v2/hub/alpine/manifests/v1");
  for (const as of [undefined, admin]) {
    for (const name of ["hub/alpine", "hub/library/alpine"]) {
      const shown = await own.must(200, "GET", `/api/v1/repositories/${name}`, { as });
      assert.equal(shown.json<{ name: string }>().name, "hub/library/alpine");
    }
  }
});

test("whether a cached blob is here is asked of no ledger again, also for those who may push", async () => {
  const path = `/v2/hub/library/alpine/blobs/${digest}`;
  const askedFor = async (as: Credential) => {
    await registry.takeCalls();
    await registry.must(200, "HEAD", path, { as });
    return Object.keys(await registry.takeCalls()).filter((call) => call.startsWith("LEDGERS."));
  };
  await registry.must(200, "GET", path, { as: puller });
  await until("it to be here", async () => (await askedFor(puller)).length === 0);
  assert.deepEqual(await askedFor(admin), []);
});

describe("ns:", () => {
  test("an alias is the upstream, never what was pushed here under the same name", async () => {
    const own = await registry.as(admin).pushImage("library/alpine", "v1");
    const theirs = await registry.must(200, "GET", "/v2/library/alpine/manifests/v1?ns=docker.io", {
      as: admin,
    });
    assert.equal(digestOf(theirs.bytes), image.digest);
    const ours = await registry.must(200, "GET", "/v2/library/alpine/manifests/v1", { as: admin });
    assert.equal(digestOf(ours.bytes), own.digest);
  });

  test("a name of this registry is ignored", async () => {
    const host = new URL(registry.url).host;
    for (const ns of [host, "registry.example.com", "mirror.example", "MIRROR.example:443"]) {
      const answer = await registry.must(200, "GET", `/v2/library/alpine/manifests/v1?ns=${ns}`, {
        as: admin,
      });
      assert.notEqual(digestOf(answer.bytes), image.digest);
    }
  });

  test("anything else is nothing", async () => {
    for (const ns of ["ghcr.io", "hub", "", "docker.io/library", "docker.io:443"]) {
      await registry.must(404, "GET", `/v2/library/alpine/manifests/v1?ns=${ns}`, { as: admin });
      await registry.must(404, "HEAD", `/v2/library/alpine/blobs/${digest}?ns=${ns}`, { as: admin });
      await registry.must(405, "POST", `/v2/library/alpine/blobs/uploads/?ns=${ns}`, { as: admin });
    }
  });

  test("an answer says which namespace it is of, and a refused one too", async () => {
    const asked: [number, string, string, string | null][] = [
      [200, "GET", "library/alpine/manifests/v1?ns=docker.io", "docker.io"],
      [200, "HEAD", `library/alpine/blobs/${digest}?ns=Docker.IO`, "Docker.IO"],
      [404, "GET", "library/alpine/manifests/none?ns=docker.io", "docker.io"],
      [405, "POST", "library/alpine/blobs/uploads/?ns=docker.io", "docker.io"],
      [404, "GET", "library/alpine/manifests/v1?ns=ghcr.io", null],
      [200, "GET", `hub/library/alpine/manifests/v1?ns=${new URL(registry.url).host}`, null],
      [200, "GET", "hub/library/alpine/manifests/v1", null],
    ];
    for (const [status, method, path, namespace] of asked) {
      const answer = await registry.must(status, method, `/v2/${path}`, { as: admin });
      assert.equal(answer.headers.get("OCI-Namespace"), namespace, path);
    }
  });

  test("a path of the upstream may say it again", async () => {
    await registry.must(200, "GET", "/v2/hub/library/alpine/manifests/v1?ns=docker.io", { as: puller });
  });
});

test("what is not here is never looked for elsewhere", async () => {
  upstream.forget();
  upstream.addImage("team/mine", [10], "v1");
  await registry.must(404, "GET", "/v2/team/mine/manifests/v1", { as: admin });
  assert.equal(upstream.seen.length, 0);
});

test("who asks for much that an upstream does not have has it asked no more for a while, and nobody else", async () => {
  const maxMisses = 5;
  const own = await startClosedRegistry({ UPSTREAMS }, { maxMisses });
  const grants = [{ repository: "hub/**", verbs: ["pull" as const] }];
  const [guesser, other] = [await own.account("guesser", grants), await own.account("other", grants)];
  const statusFor = async (as: Credential) =>
    (await own.send("GET", `/v2/hub/library/alpine/blobs/${unknownDigest()}`, { as })).status;
  const statuses: number[] = [];
  // Twice as many where a minute ends meanwhile.
  while (statuses.at(-1) !== 429 && statuses.length < 2 * maxMisses + 2) {
    statuses.push(await statusFor(guesser));
  }
  assert(statuses.length > maxMisses && statuses.at(-1) === 429, statuses.join());
  upstream.forget();
  assert.equal(await statusFor(guesser), 429);
  assert.equal(upstream.seen.length, 0);
  assert.equal(await statusFor(other), 404);
});

test("of a public upstream everybody pulls what its patterns allow", async () => {
  upstream.addImage("team/app", [10], "v1");
  upstream.addImage("secret/app", [10], "v1");
  const token = await registry.bearer("repository:open/team/app:pull");
  await registry.must(200, "GET", "/v2/open/team/app/manifests/v1", { as: token });
  upstream.forget();
  await registry.must(401, "GET", "/v2/open/secret/app/manifests/v1");
  assert.equal(upstream.seen.length, 0);
  const listed = await registry.must(200, "GET", "/api/v1/repositories?query=open/", { as: other });
  const { repositories } = listed.json<{ repositories: { name: string; visibility: string }[] }>();
  assert.deepEqual(
    repositories.map(({ name, visibility }) => [name, visibility]),
    [["open/team/app", "public"]],
  );
});

test("what is cached of a private upstream is not linked for another one that claims its digest", async () => {
  const bytes = content(5000);
  const secret = digestOf(bytes);
  for (const name of ["library/secret", "team/claims"]) upstream.addBlob(name, bytes);
  await registry.must(200, "GET", `/v2/hub/library/secret/blobs/${secret}`, { as: puller });
  upstream.forget();
  const token = await registry.bearer("repository:open/team/claims:pull");
  await registry.must(200, "GET", `/v2/open/team/claims/blobs/${secret}`, { as: token });
  assert.equal(upstream.count("GET", /blobs/), 1);
});

test("what is cached of a public upstream is linked for others that have it", async () => {
  const bytes = content(5000);
  const shared = digestOf(bytes);
  for (const name of ["library/shared", "team/shared"]) upstream.addBlob(name, bytes);
  const token = await registry.bearer("repository:open/team/shared:pull");
  await registry.must(200, "GET", `/v2/open/team/shared/blobs/${shared}`, { as: token });
  upstream.forget();
  await registry.must(200, "GET", `/v2/hub/library/shared/blobs/${shared}`, { as: puller });
  assert.deepEqual([upstream.count("HEAD", /blobs/), upstream.count("GET", /blobs/)], [1, 0]);
});

test("who may pull a cache is not set on the repository, but what it is for", async () => {
  const path = "/api/v1/repositories/open/team/app";
  await registry.must(405, "PATCH", path, { as: admin, json: { visibility: "private" } });
  const changed = await registry.must(200, "PATCH", path, { as: admin, json: { description: "their app" } });
  const { visibility, cached } = changed.json<{ visibility: string; cached: string }>();
  assert.deepEqual([visibility, cached], ["public", "upstream"]);
});

test("the upstream's challenge is not passed on", async () => {
  upstream.script("GET", /manifests/, (_, response) =>
    end(response, 401, { "WWW-Authenticate": 'Basic realm="secret place"' }),
  );
  const answer = await registry.must(404, "GET", "/v2/hub/library/nothing/manifests/v1", { as: puller });
  assert.equal(answer.headers.get("WWW-Authenticate"), null);
});

test("repositories that were pushed before stay as they are, and take no more pushes", async () => {
  const name = "later/team/app";
  const pushed = await registry.as(admin).pushImage(name, "v1");
  await registry.setVisibility(name, "public");
  await registry.deployWith("UPSTREAMS", JSON.stringify([hub, open, { ...entry, id: "later" }]));
  upstream.forget();
  const answer = await registry.must(200, "GET", `/v2/${name}/manifests/v1`, { as: admin });
  assert.equal(digestOf(answer.bytes), pushed.digest);
  await registry.must(404, "GET", `/v2/${name}/manifests/v2`, { as: admin });
  // The upstream has what was not pushed.
  const theirs = content(5000);
  upstream.addBlob("team/app", theirs);
  const blob = `/v2/${name}/blobs/${digestOf(theirs)}`;
  for (const headers of [{}, { Range: "bytes=0-9" }])
    await registry.must(404, "GET", blob, { as: admin, headers });
  await registry.must(404, "HEAD", blob, { as: admin });
  await registry.must(409, "POST", `/v2/${name}/blobs/uploads/`, { as: admin });
  assert.equal(upstream.seen.length, 0);
  const checked = await registry.must(200, "GET", "/api/v1/upstreams/later", { as: admin });
  assert.deepEqual(checked.json<{ reserved: string[] }>().reserved, [name]);
  // Everybody learns the id, and only the log the name.
  await until("what the isolate knows of it", async () => {
    const { bytes } = await registry.must(200, "GET", "/healthz");
    const text = new TextDecoder().decode(bytes);
    assert(!text.includes(name), text);
    return text.includes('"reserved":["later"]');
  });
  await until("the log", async () => registry.log.includes(`"repositories":["${name}"]`));
  const token = await registry.bearer(`repository:${name}:pull`);
  await registry.must(200, "GET", `/v2/${name}/manifests/v1`, { as: token });
});

test("what an upstream that was removed left is private, read-only, and deletable", async () => {
  await registry.deployWith("UPSTREAMS", JSON.stringify([hub]));
  const path = "/v2/open/team/app/manifests/v1";
  await registry.must(200, "GET", path, { as: admin });
  await registry.must(401, "GET", path);
  await registry.must(403, "GET", path, { as: other });
  const { cached } = (
    await registry.must(200, "GET", "/api/v1/repositories/open/team/app", { as: admin })
  ).json<{ cached: string }>();
  assert.equal(cached, "orphaned");
  const bytes = content();
  const pushed = `/v2/open/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  await registry.must(405, "POST", pushed, { as: admin, body: bytes });
  const tagged = { body: image.manifest, headers: { "Content-Type": imageManifestType } };
  await registry.must(405, "PUT", "/v2/open/team/app/manifests/v2", { as: admin, ...tagged });
  await registry.must(202, "DELETE", "/api/v1/repositories/open/team/app", { as: admin });
});
