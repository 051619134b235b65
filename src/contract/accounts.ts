/** `/accounts`: who is let in, and what they may. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { givenGrants, grants, must, time, yesOrNo } from "./schemas.ts";

/** How long a password is, in characters. */
export const passwordLength = { least: 12, most: 512 } as const;

/** What is shown of an account. */
export const account = v.object({
  name: v.string(),
  grants: v.pipe(grants, v.description("What the account may.")),
  disabled: v.pipe(v.boolean(), v.description("Whether it is let in no more.")),
  hasPassword: v.boolean(),
  createdAt: v.pipe(time, v.description("When it was made.")),
});

/** What an account is to be. */
export const accountPut = v.strictObject({
  grants: givenGrants(
    'What the account may from now on: at most 200 of `{"repository": pattern, "verbs": [...]}`, with verbs of `pull`, `push`, `delete`, `admin`.',
  ),
  disabled: v.exactOptional(
    v.pipe(yesOrNo, v.description("`true` lets the account in no more. Left out, it is `false`.")),
    false,
  ),
  password: v.exactOptional(
    must(
      `a text of ${passwordLength.least} to ${passwordLength.most} characters`,
      v.pipe(
        v.string(),
        v.minLength(passwordLength.least),
        v.maxLength(passwordLength.most),
        v.description("12 to 512 characters. Left out, the old one stays, or there is none."),
      ),
    ),
  ),
});

export const accounts = {
  "/accounts": {
    name: "accounts",
    GET: {
      id: "listAccounts",
      summary: "Lists the accounts, by name",
      access: "administrator",
      page: { most: 10_000, last: "text" },
      answers: {
        200: { description: "A page of accounts", body: v.object({ accounts: v.array(account) }) },
      },
    },
  },
  "/accounts/{account}": {
    name: "account",
    GET: {
      id: "getAccount",
      summary: "Shows an account",
      details: "`admin` is not among the accounts.",
      access: "own account",
      answers: { 200: { description: "The account", body: account } },
    },
    PUT: {
      id: "putAccount",
      summary: "Makes an account, or changes one",
      details:
        "The grants and `disabled` are replaced as a whole, so read the account first to keep them. The password stays unless a new one is given; a new one ends the refresh tokens that were issued for the old one.",
      access: "administrator",
      audit: { action: ["account.create", "account.change"], target: "{account}" },
      body: accountPut,
      answers: {
        200: { description: "Changed", body: account },
        201: { description: "Made", body: account },
      },
    },
    DELETE: {
      id: "deleteAccount",
      summary: "Deletes an account with its tokens",
      access: "administrator",
      audit: { action: "account.delete", target: "{account}" },
      answers: { 204: { description: "Deleted" } },
    },
  },
} as const satisfies Resource;
