/**
 * What must not compile: operations and handlers that leave out what none may leave out. `npm run types` checks it, as
 * each `@ts-expect-error` is an error where nothing is wrong.
 */
import * as v from "valibot";
import type { Api } from "../../src/cli/api.ts";
import type { Resource } from "../../src/contract/operation.ts";
import type { HandlersOf } from "../../src/edge/operations/handler.ts";
import { failure } from "../../src/oci/errors.ts";

const done = { 204: { description: "Done" } };
const named = { 200: { description: "It", body: v.object({ name: v.string() }) } };
const read = { id: "read", summary: "Reads", access: "administrator", answers: named } as const;
const change = {
  id: "change",
  summary: "Changes",
  access: "administrator",
  audit: "none",
  answers: done,
} as const;

export const accepted = {
  "/things": { name: "things", GET: read, POST: change },
  "/things/{name}": { name: "thing", GET: { ...read, access: { repository: "pull" } } },
} as const satisfies Resource;

const { access: _access, ...openRead } = read;
const { audit: _audit, ...silentChange } = change;

export const withoutAccess = {
  // @ts-expect-error An operation says who may call it.
  "/things": { name: "things", GET: openRead },
} as const satisfies Resource;

export const changeWithoutAccess = {
  // @ts-expect-error So does one that changes something.
  "/things": { name: "things", DELETE: { id: "x", summary: "X", audit: "none", answers: done } },
} as const satisfies Resource;

export const withUnknownAccess = {
  // @ts-expect-error There is no such access.
  "/things": { name: "things", GET: { ...read, access: "all" } },
} as const satisfies Resource;

export const withUnknownVerb = {
  // @ts-expect-error There is no such verb.
  "/things/{name}": { name: "things", GET: { ...read, access: { repository: "read" } } },
} as const satisfies Resource;

export const repositoryForAll = {
  // @ts-expect-error A path below a repository needs something on that repository.
  "/repositories/{name}/things": { name: "things", GET: { ...read, access: "any account" } },
} as const satisfies Resource;

export const withoutAudit = {
  // @ts-expect-error An operation that changes something says what of it is audited.
  "/things": { name: "things", POST: silentChange },
} as const satisfies Resource;

export const readWithBody = {
  // @ts-expect-error A GET has no body.
  "/things": { name: "things", GET: { ...read, body: v.strictObject({}) } },
} as const satisfies Resource;

export const looseBody = {
  // @ts-expect-error A body with unknown fields is refused.
  "/things": { name: "things", POST: { ...change, body: v.object({ name: v.string() }) } },
} as const satisfies Resource;

export const unknownMethod = {
  // @ts-expect-error There is no such method.
  "/things": { name: "things", TRACE: read },
} as const satisfies Resource;

const things = {
  "/things/{account}": {
    name: "thing",
    GET: read,
    PUT: {
      ...change,
      audit: { action: ["thing.make", "thing.change"], target: "{account}/{thing}" },
      body: v.strictObject({ size: v.number() }),
    },
  },
  "/things": { name: "things", DELETE: { ...change, audit: { action: "thing.clear", target: "*" } } },
} as const satisfies Resource;

const get = async () => ({ status: 200, body: { name: "a" } }) as const;
const put = async () => ({ status: 204, audited: { action: "thing.make", thing: "a" } }) as const;
const clear = async () => ({ status: 204 }) as const;

export const handled: HandlersOf<typeof things> = {
  "/things/{account}": { GET: get, PUT: put },
  "/things": { DELETE: clear },
};

export const unhandledMethod: HandlersOf<typeof things> = {
  // @ts-expect-error An operation has a handler.
  "/things/{account}": { GET: get },
  "/things": { DELETE: clear },
};

// @ts-expect-error Each path has its handlers.
export const unhandledPath: HandlersOf<typeof things> = {
  "/things/{account}": { GET: get, PUT: put },
};

export const undeclaredMethod: HandlersOf<typeof things> = {
  "/things/{account}": { GET: get, PUT: put },
  // @ts-expect-error A handler has an operation.
  "/things": { DELETE: clear, POST: clear },
};

export const undeclaredPath: HandlersOf<typeof things> = {
  "/things/{account}": { GET: get, PUT: put },
  "/things": { DELETE: clear },
  // @ts-expect-error So have all of a path.
  "/others": { GET: get },
};

export const wrongReplies: HandlersOf<typeof things> = {
  "/things/{account}": {
    // @ts-expect-error The answer has the fields that are declared.
    GET: async () => ({ status: 200, body: { title: "a" } }),
    // @ts-expect-error What the audit log needs is not left out.
    PUT: async () => ({ status: 204 }),
  },
  // @ts-expect-error The status is one that is declared.
  "/things": { DELETE: async () => ({ status: 200 }) },
};

export const wrongAudit: HandlersOf<typeof things> = {
  "/things/{account}": {
    GET: async () => failure("ACCOUNT_UNKNOWN"),
    // @ts-expect-error The action is one that is declared.
    PUT: async () => ({ status: 204, audited: { action: "thing.break", thing: "a" } }),
  },
  "/things": { DELETE: clear },
};

export const wrongCalls: HandlersOf<typeof things> = {
  "/things/{account}": {
    GET: get,
    PUT: async (call) => {
      // @ts-expect-error The body has the fields that are declared.
      call.body.weight;
      // @ts-expect-error The path has the parameters that it names.
      call.params.tag;
      // @ts-expect-error No repository was checked.
      call.repository;
      return put();
    },
  },
  "/things": { DELETE: clear },
};

/** What the command line may ask for, and what it gets. */
export async function commands(api: Api): Promise<void> {
  const { name } = await api.send("GET", "/accounts/{account}", { params: { account: "a" } });
  name satisfies string;
  // @ts-expect-error There is no such path.
  await api.send("GET", "/account");
  // @ts-expect-error The path has no such method.
  await api.send("PATCH", "/accounts");
  // @ts-expect-error The parameters of the path are needed.
  await api.send("GET", "/accounts/{account}");
  // @ts-expect-error The body is needed.
  await api.send("PUT", "/accounts/{account}", { params: { account: "a" } });
  const params = { account: "a" };
  // @ts-expect-error The field is of another type.
  await api.send("PUT", "/accounts/{account}", { params, body: { grants: "" } });
  for await (const { freed } of api.work("/gc", {})) freed satisfies object;
  // @ts-expect-error What may not be repeated is not worked through.
  for await (const _ of api.work("/keys/rotate", {})) return;
  // @ts-expect-error The list has no pages.
  await api.list("/webhooks", "webhooks", { query: { n: "10" } });
  // @ts-expect-error The answer has no such list.
  await api.list("/accounts", "tokens", {});
}
