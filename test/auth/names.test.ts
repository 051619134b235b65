/** What those who may not see a repository learn of its name: nothing, and with the same calls. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { Answer } from "../support/answer.ts";
import { expectError, expectProblem } from "../support/answer.ts";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { unknownDigest } from "../support/content.ts";

const registry = await startClosedRegistry();
await registry.as(admin).pushImage("hidden/app", "v1");
const stranger = await registry.account("stranger", [{ repository: "own/**", verbs: ["pull", "push"] }]);

type Ask = (name: string, as: Credential | undefined) => Promise<Answer>;

const questions: [what: string, ask: Ask][] = [
  ["a pull by tag", (name, as) => registry.send("GET", `/v2/${name}/manifests/v1`, { as })],
  ["a look for a blob", (name, as) => registry.send("HEAD", `/v2/${name}/blobs/${unknownDigest()}`, { as })],
  ["a list of tags", (name, as) => registry.send("GET", `/v2/${name}/tags/list`, { as })],
  ["a token", (name, as) => registry.send("GET", `/token?scope=repository:${name}:pull`, { as })],
];

/** The calls of a question, without those that every caller with a credential causes. */
async function callsOf(ask: () => Promise<Answer>): Promise<Record<string, number>> {
  await registry.takeCalls();
  await ask();
  const calls = Object.entries(await registry.takeCalls());
  // The first question to a part of the index has it filled from the catalog.
  return Object.fromEntries(calls.filter(([call]) => !call.startsWith("CATALOG.")));
}

describe("a name that exists and one that does not cause the same calls, of which none goes to a ledger", () => {
  for (const [what, ask] of questions) {
    for (const [who, as] of [
      ["nobody", undefined],
      ["an account without a grant", stranger],
    ] as const) {
      test(`${what} of ${who}`, async () => {
        const [real, madeUp] = ["hidden/app", `hidden/${crypto.randomUUID()}`];
        // An isolate in which somebody else has just pulled it.
        await registry.must(200, "GET", "/v2/hidden/app/manifests/v1", { as: admin });
        for (let time = 0; time < 2; time++) {
          const calls = await callsOf(() => ask(real, as));
          assert.equal(calls["NAME_INDEX.mayBePublic"], 1);
          assert.deepEqual(
            Object.keys(calls).filter((call) => call.startsWith("LEDGERS.")),
            [],
          );
          assert.deepEqual(await callsOf(() => ask(madeUp, as)), calls);
        }
      });
    }
  }
});

test("a repository is seen by everybody as soon as it is public, and by nobody once it is private", async () => {
  const name = "soon/public";
  await registry.as(admin).pushImage(name, "v1");
  await registry.must(401, "GET", `/v2/${name}/manifests/v1`);
  await registry.setVisibility(name, "public");
  await registry.must(200, "GET", `/v2/${name}/manifests/v1`);
  await registry.setVisibility(name, "private");
  await registry.must(401, "GET", `/v2/${name}/manifests/v1`);
  await registry.setVisibility(name, "public");
  await registry.must(200, "GET", `/v2/${name}/manifests/v1`);
});

test("who makes a name public that nobody pushed to is told so, and nothing is registered", async () => {
  const json = { visibility: "public" };
  const path = "/api/v1/repositories/made/up";
  await registry.takeCalls();
  expectProblem(await registry.send("PATCH", path, { as: admin, json }), 404, "NAME_UNKNOWN");
  assert.equal((await registry.takeCalls())["NAME_INDEX.register"], undefined);
});

test("those who may pull everything cause no call to the ledger of a name that does not exist", async () => {
  const path = `/v2/made/${crypto.randomUUID()}/manifests/v1`;
  expectError(await registry.send("GET", path, { as: admin }), 404, "MANIFEST_UNKNOWN");
  const calls = await callsOf(() => registry.send("GET", path, { as: admin }));
  assert.deepEqual(calls, { "NAME_INDEX.has": 1 });
});

test("a bearer token says that a name is registered, which saves its holder the question", async () => {
  const token = await registry.as(admin).bearer("repository:hidden/app:pull");
  await registry.deployWith("ACCESS", "closed");
  const pull = () => registry.must(200, "HEAD", "/v2/hidden/app/manifests/v1", { as: token });
  const { "LEDGERS.recordUses": _, ...calls } = await callsOf(pull);
  assert.deepEqual(calls, { "LEDGERS.resolveTags": 1 });
});

test("a bearer token for a name that does not exist causes no call to its ledger", async () => {
  const name = `made/${crypto.randomUUID()}`;
  const token = await registry.as(admin).bearer(`repository:${name}:pull`);
  const path = `/v2/${name}/manifests/v1`;
  const calls = await callsOf(() => registry.must(404, "GET", path, { as: token }));
  assert.deepEqual(calls, { "NAME_INDEX.has": 1 });
});

test("without its index a registry says that it cannot answer, and not that there is nothing", async () => {
  await registry.deployWith("ACCESS", "closed");
  for (const [call, as] of [
    ["NAME_INDEX.has", admin],
    ["NAME_INDEX.mayBePublic", undefined],
  ] as const) {
    await registry.loseNext(call);
    const answer = await registry.send("GET", "/v2/hidden/app/manifests/v1", { as });
    expectError(answer, 503, "UNAVAILABLE");
    assert.match(answer.header("Retry-After"), /^\d+$/);
  }
});

test("a mount that names no source makes the same calls whoever has the blob, and if nobody has it", async () => {
  const held = await registry.as(admin).pushBlob("hidden/app");
  for (const name of ["hidden/one", "hidden/two"]) {
    await registry.must(201, "POST", `/v2/${name}/blobs/uploads/?mount=${held}&from=hidden/app`, {
      as: admin,
    });
  }
  const mount = (digest: string) => () =>
    registry.must(202, "POST", `/v2/own/app/blobs/uploads/?mount=${digest}`, { as: stranger });
  const calls = await callsOf(mount(unknownDigest()));
  assert.deepEqual(calls, { "BLOB_SHARDS.mountSource": 1, "LEDGERS.locateBlob": 1 });
  assert.deepEqual(await callsOf(mount(held)), calls);
});
