/** From where a blob is mounted: from what the credential at hand may pull, and nothing else of its account. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { essence } from "../support/answer.ts";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { startPrivateRegistry } from "./support/private-repositories.ts";

const { registry, alice, layer, open } = await startPrivateRegistry();
const target = "repository:team/new:pull,push";
const narrow = await registry.generateToken("alice", {
  grants: [{ repository: "team/new", verbs: ["pull", "push"] }],
});
const whole = await registry.generateToken("alice");
const narrowLogin = { name: "alice", password: narrow.secret };
const wholeLogin = { name: "alice", password: whole.secret };

/** A bearer token that the registry was asked for, with what it is asked for. */
const bearer =
  (as: Credential, ...scopes: string[]) =>
  () =>
    registry.as(as).bearer(...scopes);

async function refreshed(): Promise<string> {
  const { refresh_token: token = "" } = await registry.as(alice).askToken([], "&offline_token=true");
  const form: [string, string][] = [
    ["grant_type", "refresh_token"],
    ["refresh_token", token],
    ["scope", target],
  ];
  const issued = (await registry.must(200, "POST", "/token", { form })).json<{ token: string }>().token;
  registry.secrets.add(issued);
  return issued;
}

/** A token for the target of whose holder the registry has just looked up what the account may. */
async function afterList(): Promise<string> {
  const as = await registry.as(alice).bearer(target, "registry:catalog:*");
  const listed = await registry.must(200, "GET", "/v2/_catalog", { as });
  assert(listed.json<{ repositories: string[] }>().repositories.includes("team/secret"));
  return as;
}

const fromSecret = `mount=${layer}&from=team/secret`;
const fromAnywhere = `mount=${layer}`;
const fromPublic = `mount=${open.config}&from=open/app`;
const publicFromAnywhere = `mount=${open.config}`;

const mounted: [string, () => Credential | Promise<Credential>, string][] = [
  ["a password", () => alice, fromSecret],
  ["a password that names no source", () => alice, fromAnywhere],
  ["a generated token", () => wholeLogin, fromSecret],
  ["a generated token as bearer token", () => whole.secret, fromSecret],
  ["a generated token that names no source", () => whole.secret, fromAnywhere],
  ["a token for target and source", bearer(alice, target, "repository:team/secret:pull"), fromSecret],
  [
    "a token for both that names no source",
    bearer(alice, target, "repository:team/secret:pull"),
    fromAnywhere,
  ],
  ["a token for everything on the source", bearer(alice, target, "repository:team/secret:*"), fromSecret],
  ["a token for the target, of what is public", bearer(alice, target), fromPublic],
  ["a narrowed generated token, of what is public", () => narrow.secret, fromPublic],
];

describe("a blob is mounted by", () => {
  for (const [what, credential, query] of mounted) {
    test(what, async () => {
      const as = await credential();
      const done = await registry.must(201, "POST", `/v2/team/new/blobs/uploads/?${query}`, { as });
      // So that the next one does not find it in the target itself.
      await registry.must(202, "DELETE", done.header("Location"), { as: admin });
    });
  }
});

const refused: [string, () => Credential | Promise<Credential>, string][] = [
  ["a token for the target alone", bearer(alice, target), fromSecret],
  ["a token for the target alone that names no source", bearer(alice, target), fromAnywhere],
  ["a token that may push to the source", bearer(alice, target, "repository:team/secret:push"), fromSecret],
  ["a token that may pull another repository", bearer(alice, target, "repository:team/x:pull"), fromSecret],
  ["a token for the target and the list", bearer(alice, target, "registry:catalog:*"), fromSecret],
  ["a token that has listed what its account may pull", afterList, fromSecret],
  ["a token that a refresh token was given for", refreshed, fromSecret],
  ["a token for a generated one, for the target alone", bearer(wholeLogin, target), fromSecret],
  ["a token for the target, of what is public somewhere", bearer(alice, target), publicFromAnywhere],
  ["a narrowed generated token", () => narrowLogin, fromSecret],
  ["a narrowed generated token that names no source", () => narrow.secret, fromAnywhere],
  ["a token for a narrowed one", bearer(narrowLogin, target, "repository:team/secret:pull"), fromSecret],
];

describe("a mount is an upload like any other by", () => {
  for (const [what, credential, query] of refused) {
    test(what, async () => {
      const as = await credential();
      const plain = await registry.must(202, "POST", "/v2/team/new/blobs/uploads/", { as });
      const answer = await registry.must(202, "POST", `/v2/team/new/blobs/uploads/?${query}`, { as });
      const ids = (of: typeof plain) => [
        of.header("Location").split("/").at(-1) ?? "",
        of.header("Docker-Upload-UUID"),
      ];
      assert.deepEqual(essence(answer, ...ids(answer)), essence(plain, ...ids(plain)));
    });
  }
});

test("who mounts from wherever a blob is has not guessed at the repositories that have it", async () => {
  const strict = await startClosedRegistry({}, { maxMisses: 3 });
  const grants = [{ repository: "**", verbs: ["pull" as const, "push" as const] }];
  const pusher = await strict.account("pusher", grants);
  const image = await strict.as(pusher).pushImage("shared/0", "v1");
  const [shared = ""] = image.layers;
  for (const name of ["shared/1", "shared/2", "shared/3", "shared/4"]) {
    await strict.must(201, "POST", `/v2/${name}/blobs/uploads/?mount=${shared}&from=shared/0`, {
      as: pusher,
    });
  }
  const as = await strict.as(pusher).bearer("repository:mine/app:pull,push");
  await strict.must(202, "POST", `/v2/mine/app/blobs/uploads/?mount=${shared}`, { as });
  await strict.setVisibility("shared/0", "public");
  await strict.must(200, "GET", "/v2/shared/0/manifests/v1", { as });
});
