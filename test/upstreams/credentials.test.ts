/** An upstream that wants tokens: another Stowage, whose repositories are private. */
import assert from "node:assert/strict";
import test from "node:test";
import { startClosedRegistry } from "../support/closed-registry.ts";
import { content } from "../support/content.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";

const upstream = await startClosedRegistry({}, { hasAdmin: false });
const puller = await upstream.account("puller", [{ repository: "team/*", verbs: ["pull"] }]);
const pusher = await upstream.account("pusher", [{ repository: "**", verbs: ["pull", "push"] }]);

function cacheOf(credential: { name: string; password: string } | undefined): Promise<TestRegistry> {
  const entry = { id: "up", url: upstream.url, private: true, insecure: true, repositories: ["**"] };
  const variables =
    credential === undefined
      ? {}
      : { UPSTREAM_UP_USERNAME: credential.name, UPSTREAM_UP_PASSWORD: credential.password };
  return startRegistry({ vars: { UPSTREAMS: JSON.stringify([entry]), ...variables } });
}

const cache = await cacheOf(puller);

test("what the account may pull is pulled, with a new token where the old one has expired", async () => {
  const image = await upstream.as(pusher).pushImage("team/app", "v1", [content(200_000), content(10)]);
  await cache.pullImage("up/team/app", "v1", image);
  const second = await upstream.as(pusher).pushImage("team/app", "v2");
  await upstream.advance(600_000);
  await cache.pullImage("up/team/app", "v2", second);
});

test("what it may not pull is not there", async () => {
  await upstream.as(pusher).pushImage("secret/app", "v1");
  const answer = await cache.must(404, "GET", "/v2/up/secret/app/manifests/v1");
  assert.equal(answer.headers.get("WWW-Authenticate"), null);
});

test("without a credential, or with a wrong one, nothing is", async () => {
  await upstream.as(pusher).pushImage("team/other", "v1");
  const nobody = await cacheOf(undefined);
  await nobody.must(404, "GET", "/v2/up/team/other/manifests/v1");
  const wrong = await cacheOf({ name: puller.name, password: "not the password" });
  await wrong.must(404, "GET", "/v2/up/team/other/manifests/v1");
  const checked = await wrong.must(200, "POST", "/api/v1/upstreams/up/check", { json: {} });
  const { reachable, detail } = checked.json<{ reachable: boolean; detail: string }>();
  assert.equal(reachable, false);
  assert.match(detail, /wrong password/);
});

test("when the upstream has gone, all that was pulled is pulled again, by tag and by digest", async () => {
  const image = await upstream.as(pusher).pushImage("team/kept", "v1", [content(300_000)]);
  await cache.pullImage("up/team/kept", "v1", image);
  await upstream.end();
  await cache.pullImage("up/team/kept", "v1", image);
  await cache.must(200, "GET", `/v2/up/team/kept/manifests/${image.digest}`);
  await cache.must(503, "GET", "/v2/up/team/kept/manifests/v2");
});
