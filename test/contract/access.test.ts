/** Who may call what: every operation, by callers of every kind, as its declaration says. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { AccessRule } from "../../src/contract/operation.ts";
import { apiRoot } from "../../src/contract/operation.ts";
import type { Credential, RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { unknownDigest } from "../support/content.ts";
import { type Located, operations } from "../support/contract.ts";

const registry = await startClosedRegistry();
const everywhere = (...verbs: ("pull" | "push" | "delete" | "admin")[]) => [
  { repository: "walked/**", verbs },
];

/** Who asks, what they may do with the repositories, and whose account that is. */
type Caller = { as?: Credential; may: string[]; account?: string; token?: string; isAdministrator?: true };

/** A token of its own for each call: one that may end itself does. */
async function generatedToken(): Promise<Caller> {
  const verbs = ["pull", "push", "admin"] as const;
  const { id, secret } = await registry.generateToken("admin", { grants: everywhere(...verbs) });
  return { as: secret, may: [...verbs], token: id };
}

const callers: Record<string, Caller | (() => Promise<Caller>)> = {
  nobody: { may: [] },
  "a bearer token of an administrator": {
    as: await registry.as(admin).bearer("repository:walked/a:pull,push,delete"),
    may: [],
  },
  "an account without grants": { as: await registry.account("none", []), may: [], account: "none" },
  "an account that pulls": {
    as: await registry.account("puller", everywhere("pull")),
    may: ["pull"],
    account: "puller",
  },
  "an account that pushes": {
    as: await registry.account("pusher", everywhere("pull", "push")),
    may: ["pull", "push"],
    account: "pusher",
  },
  "an account that deletes": {
    as: await registry.account("cleaner", everywhere("delete")),
    may: ["delete"],
    account: "cleaner",
  },
  "an account that manages the repositories": {
    as: await registry.account("owner", everywhere("admin")),
    may: ["admin"],
    account: "owner",
  },
  "a generated token": generatedToken,
  "an administrator": { as: admin, may: ["pull", "push", "delete", "admin"], isAdministrator: true },
};

/** What a caller gets: let in, told to log in, or refused. */
type Outcome = "let in" | 401 | 403;

function expected(access: AccessRule, caller: Caller, isOwn: boolean): Outcome {
  if (access === "everybody") return "let in";
  if (caller.as === undefined || (typeof caller.as === "string" && caller.token === undefined)) return 401;
  const refusedUnless = (isAllowed: boolean): Outcome =>
    isAllowed || caller.isAdministrator === true ? "let in" : 403;
  if (typeof access === "object") return refusedUnless(caller.may.includes(access.repository));
  switch (access) {
    case "any account":
      return "let in";
    case "administrator":
      return refusedUnless(false);
    case "own account":
      return refusedUnless(isOwn && caller.token === undefined);
    case "own token":
      return refusedUnless(isOwn);
  }
}

await registry.as(admin).pushImage("walked/app", "v1");
let deleted = 0;

/** A path of an operation: of a repository that has a tag, and of an account and a token of these names. */
async function pathOf({ method, path }: Located, account: string, tokenId: string): Promise<string> {
  const isDeletion = method === "DELETE" && path.endsWith("{name}");
  const name = isDeletion ? `walked/deleted-${deleted++}` : "walked/app";
  if (isDeletion) await registry.as(admin).pushImage(name, "v1");
  const values: Record<string, string> = {
    name,
    tag: "v1",
    reference: "v1",
    digest: unknownDigest(),
    account,
    token: tokenId,
    upload: crypto.randomUUID(),
    upstream: "none",
    webhook: "none",
    event: "none",
  };
  return apiRoot + path.replace(/\{(\w+)\}/g, (_, parameter: string) => values[parameter] ?? "");
}

/** What comes before the operation does anything: a body with a field that no operation has is refused then. */
function optionsFor({ operation }: Located, as: Credential | undefined): RequestOptions {
  const body = "body" in operation && operation.body !== undefined ? { json: { unheardOf: true } } : {};
  return { as, ...body };
}

async function outcomeOf(located: Located, caller: Caller, path: string): Promise<Outcome> {
  const { status, text } = await registry.send(located.method, path, optionsFor(located, caller.as));
  if (status === 401 || status === 403) return status;
  assert(status < 500, `${located.method} ${path}: ${status} ${text}`);
  return "let in";
}

for (const located of operations) {
  const { method, path, operation } = located;
  describe(`${method} ${path} is for ${JSON.stringify(operation.access)}`, () => {
    for (const [name, known] of Object.entries(callers)) {
      test(`asked by ${name}`, async () => {
        const caller = typeof known === "function" ? await known() : known;
        const target = await pathOf(located, "somebody-else", "none");
        const wanted = expected(operation.access, caller, false);
        assert.equal(await outcomeOf(located, caller, target), wanted);
      });
    }

    if (!path.includes("{account}")) return;
    for (const [name, known] of Object.entries(callers)) {
      test(`asked about themselves by ${name}`, async () => {
        const caller = typeof known === "function" ? await known() : known;
        const account = caller.account ?? "admin";
        const target = await pathOf(located, account, caller.token ?? "none");
        const wanted = expected(
          operation.access,
          caller,
          caller.account !== undefined || caller.token !== undefined,
        );
        assert.equal(await outcomeOf(located, caller, target), wanted);
      });
    }
  });
}

test("a repository that may not be seen answers as one that does not exist", async () => {
  await registry.as(admin).pushImage("walked/hidden", "v1");
  const as = await registry.account("blind", []);
  for (const located of operations.filter(({ path }) => path.includes("{name}"))) {
    const answers = await Promise.all(
      ["walked/hidden", "walked/absent"].map(async (name) => {
        const path = (await pathOf(located, "", "")).replace(/walked\/[a-z0-9-]+/, name);
        const { status, text } = await registry.send(located.method, path, optionsFor(located, as));
        return [status, text.replaceAll(name, "NAME").replace(/"requestId":"[^"]*"/, "")];
      }),
    );
    assert.deepEqual(answers[0], answers[1]);
  }
});
