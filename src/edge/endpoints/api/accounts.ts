/** `/api/v1/accounts` */

import type { accounts } from "../../../contract/accounts.ts";
import { failure, type Result } from "../../../oci/errors.ts";
import type { Account, AccountPut } from "../../../rpc/api.ts";
import { authCacheOf } from "../../auth/authenticate.ts";
import { deriveNewPassword } from "../../auth/login.ts";
import { adminName, federatedUser } from "../../auth/principal.ts";
import type { Context } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { invalidField } from "../../operations/parse-call.ts";

const nameGrammar = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const reservedNames: string[] = [adminName, federatedUser, "anonymous"];

/** The public fields of an account. */
function view({ name, grants, isDisabled, createdAtMs, password }: Account) {
  return {
    name,
    grants,
    disabled: isDisabled,
    hasPassword: password !== undefined,
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

export const accountHandlers: HandlersOf<typeof accounts> = {
  "/accounts": {
    GET: async ({ registry, page }) => {
      const { entries, more } = await registry.catalog().listAccounts(page.last, page.limit);
      const next = more ? entries.at(-1)?.name : undefined;
      return { status: 200, body: { accounts: entries.map(view) }, next };
    },
  },
  "/accounts/{account}": {
    GET: async ({ registry, params }) => {
      const account = await registry.catalog().account(params.account);
      return account === undefined ? failure("ACCOUNT_UNKNOWN") : { status: 200, body: view(account) };
    },

    PUT: async (call) => {
      const { registry, params, body } = call;
      const { account: name } = params;
      if (!nameGrammar.test(name) || reservedNames.includes(name)) {
        return invalidField("the name", `1 to 63 of a-z 0-9 . _ -, and none of ${reservedNames.join(", ")}`);
      }
      const derived = await derivePassword(call, body.password);
      if (!derived.ok) return derived;
      const { grants, disabled: isDisabled } = body;
      const put = { name, grants, isDisabled, ...derived.derived };
      const { account, isNew } = await registry.catalog().putAccount(put);
      authCacheOf(registry).throttle.addName(name);
      const password = body.password === undefined ? "" : ", password";
      const detail = `grants ${JSON.stringify(grants)}${password}${isDisabled ? ", disabled" : ""}`;
      return isNew
        ? { status: 201, body: view(account), audited: { action: "account.create", detail } }
        : { status: 200, body: view(account), audited: { action: "account.change", detail } };
    },

    DELETE: async ({ registry, params }) => {
      const isDeleted = await registry.catalog().deleteAccount(params.account);
      return isDeleted ? { status: 204 } : failure("ACCOUNT_UNKNOWN");
    },
  },
};

/** The hash of a new password, if there is one. Error: `TOOMANYREQUESTS`. */
async function derivePassword(
  { registry, address }: Pick<Context, "registry" | "address">,
  password: string | undefined,
): Promise<Result<{ derived: Pick<AccountPut, "password"> }>> {
  if (password === undefined) return { ok: true, derived: {} };
  const derived = await deriveNewPassword(authCacheOf(registry), password, address);
  return derived.ok ? { ok: true, derived: { password: derived.hash } } : derived;
}
