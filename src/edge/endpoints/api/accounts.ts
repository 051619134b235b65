/** `/api/v1/accounts`: accounts and their generated tokens. */

import type { Account, AccountPut, TokenRecord } from "../../../objects/api.ts";
import { failure, type Result } from "../../../oci/errors.ts";
import { parseGrants } from "../../../oci/grant.ts";
import { parsePage } from "../../../oci/http.ts";
import type { Registry } from "../../../registry/registry.ts";
import { minPasswordLength } from "../../../settings/table.ts";
import { audit } from "../../auth/audit.ts";
import { authCacheOf } from "../../auth/auth-cache.ts";
import { generateSecret, hashPassword, hashSecret } from "../../auth/passwords.ts";
import { adminName, federatedUser } from "../../auth/principal.ts";
import { type Answer, type Context, jsonReply } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, readJson } from "./json-body.ts";

const nameGrammar = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const reservedNames: string[] = [adminName, federatedUser, "anonymous"];
const maxPasswordLength = 512;
const maxTokens = 100;
const maxTokenSeconds = 10 * 365 * 24 * 3600;

/** What is shown of an account. */
function view({ name, grants, isDisabled, createdAtMs, password }: Account): object {
  return {
    name,
    grants,
    disabled: isDisabled,
    hasPassword: password !== undefined,
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

/** What is shown of a token: everything but the secret, which nobody has. */
function viewToken({ id, description, grants, createdAtMs, expiresAtMs, lastUsedDay }: TokenRecord): object {
  return {
    id,
    description,
    ...(grants === undefined ? {} : { grants }),
    createdAt: new Date(createdAtMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(lastUsedDay === undefined
      ? {}
      : { lastUsed: new Date(lastUsedDay * 86_400_000).toISOString().slice(0, 10) }),
  };
}

/** Lists accounts. */
export async function listAccounts({ registry, url }: Context): Promise<Answer> {
  const page = parsePage(url.searchParams);
  if (page === undefined) return { failure: failure("PAGE_INVALID") };
  const { entries, more } = await registry.catalog().listAccounts(page.last, page.limit);
  return jsonReply({ accounts: entries.map(view) }, linkHeader(url, page, more, entries.at(-1)?.name));
}

/** Shows an account. */
export async function getAccount({ registry, params }: Context): Promise<Answer> {
  const account = await registry.catalog().account(params.account ?? "");
  return account === undefined ? { failure: failure("ACCOUNT_UNKNOWN") } : jsonReply(view(account));
}

/** Makes an account, or changes one: the grants are replaced; the password stays unless a new one is given. */
export async function putAccount(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const body = await readJson(context, ["password", "grants", "disabled"]);
  if (!body.ok) return { failure: body };
  const parsed = parseAccount(params.account ?? "", body.json);
  if (!parsed.ok) return { failure: parsed };
  const { newPassword, ...settings } = parsed.account;
  const derived = await derivePassword(context, newPassword);
  if (!derived.ok) return { failure: derived };
  const account: AccountPut = { ...settings, ...derived.derived };
  const isNew = await registry.catalog().putAccount(account);
  authCacheOf(registry).throttle.addName(account.name);
  const detail = `grants ${JSON.stringify(account.grants)}${account.password ? ", password" : ""}${account.isDisabled ? ", disabled" : ""}`;
  audit(context, {
    action: isNew ? "account.create" : "account.change",
    target: account.name,
    outcome: "done",
    detail,
  });
  const stored = await registry.catalog().account(account.name);
  if (stored === undefined) return { failure: failure("ACCOUNT_UNKNOWN") };
  return { ...jsonReply(view(stored)), status: isNew ? 201 : 200 };
}

/** An account as it is wanted, with a new password if one is given. */
type WantedAccount = Omit<AccountPut, "password"> & { newPassword?: string };

function parseAccount(
  name: string,
  { password, grants: grantsJson, disabled = false }: Record<string, unknown>,
): Result<{ account: WantedAccount }> {
  if (!nameGrammar.test(name) || reservedNames.includes(name)) {
    return invalidField("the name", `1 to 63 of a-z 0-9 . _ -, and none of ${reservedNames.join(", ")}`);
  }
  const grants = parseGrants(grantsJson);
  if (grants === undefined) {
    return invalidField("grants", 'an array such as [{"repository": "team/**", "verbs": ["pull", "push"]}]');
  }
  if (typeof disabled !== "boolean") return invalidField("disabled", "true or false");
  if (password === undefined) return { ok: true, account: { name, grants, isDisabled: disabled } };
  const isLongEnough = typeof password === "string" && password.length >= minPasswordLength;
  if (!isLongEnough || password.length > maxPasswordLength) {
    return invalidField("password", `a text of ${minPasswordLength} to ${maxPasswordLength} characters`);
  }
  return { ok: true, account: { name, grants, isDisabled: disabled, newPassword: password } };
}

/** What is kept of a new password, if there is one. Error: `TOOMANYREQUESTS`. */
async function derivePassword(
  { registry, network }: Context,
  password: string | undefined,
): Promise<Result<{ derived: Pick<AccountPut, "password"> }>> {
  if (password === undefined) return { ok: true, derived: {} };
  const slot = authCacheOf(registry).throttle.acquireForNewPassword(network);
  if (slot === undefined) return failure("TOOMANYREQUESTS");
  try {
    await slot.start();
    return { ok: true, derived: { password: await hashPassword(password) } };
  } finally {
    slot.release();
  }
}

/** Deletes an account with its tokens. */
export async function removeAccount(context: Context): Promise<Answer> {
  const name = context.params.account ?? "";
  if (!(await context.registry.catalog().deleteAccount(name))) return { failure: failure("ACCOUNT_UNKNOWN") };
  audit(context, { action: "account.delete", target: name, outcome: "done" });
  return { status: 204 };
}

/** Lists an account's tokens. */
export async function listTokens({ registry, params }: Context): Promise<Answer> {
  const account = params.account ?? "";
  if (!(await hasTokens(registry, account))) return { failure: failure("ACCOUNT_UNKNOWN") };
  const tokens = await registry.catalog().listTokens(account);
  return jsonReply({ tokens: tokens.map(viewToken) });
}

/** Whether there is such an account, which may have tokens. The administrator's is not in the catalog. */
async function hasTokens(registry: Registry, account: string): Promise<boolean> {
  return account === adminName || (await registry.catalog().account(account)) !== undefined;
}

/** Makes a token. Its secret is in this answer, and nowhere else. */
export async function createToken(context: Context): Promise<Answer> {
  const { registry, params, access } = context;
  const account = params.account ?? "";
  const body = await readJson(context, ["description", "grants", "expiresInSeconds"]);
  if (!body.ok) return { failure: body };
  // A token made by a token has an end no later and grants no wider than its maker; that is why it makes none.
  if (access.tokenId !== undefined)
    return { failure: failure("DENIED", "a generated token makes no others") };
  if (!(await hasTokens(registry, account))) return { failure: failure("ACCOUNT_UNKNOWN") };
  const { description, grants: grantsJson, expiresInSeconds } = body.json;
  if (typeof description !== "string" || description === "" || description.length > 200) {
    return { failure: invalidField("description", "a text of 1 to 200 characters") };
  }
  const grants = grantsJson === undefined ? undefined : parseGrants(grantsJson);
  if (grantsJson !== undefined && grants === undefined)
    return { failure: invalidField("grants", "an array of grants") };
  const seconds = expiresInSeconds;
  if (
    seconds !== undefined &&
    !(Number.isSafeInteger(seconds) && Number(seconds) > 0 && Number(seconds) <= maxTokenSeconds)
  ) {
    return { failure: invalidField("expiresInSeconds", `a whole number from 1 to ${maxTokenSeconds}`) };
  }
  if ((await registry.catalog().listTokens(account)).length >= maxTokens) {
    return { failure: failure("REQUEST_INVALID", `an account has at most ${maxTokens} tokens: delete one`) };
  }
  const secret = generateSecret();
  const createdAtMs = registry.clock.now();
  const token = {
    id: crypto.randomUUID(),
    account,
    description,
    createdAtMs,
    ...(grants === undefined ? {} : { grants }),
    ...(seconds === undefined ? {} : { expiresAtMs: createdAtMs + Number(seconds) * 1000 }),
  };
  await registry.catalog().addToken({ ...token, secretHash: hashSecret(secret) });
  audit(context, {
    action: "token.create",
    target: `${account}/${token.id}`,
    outcome: "done",
    detail: description,
  });
  return { ...jsonReply({ ...viewToken(token), secret }), status: 201 };
}

/** Deletes a token. */
export async function removeToken(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const { account = "", token = "" } = params;
  if (!(await registry.catalog().deleteToken(account, token)))
    return { failure: failure("ACCOUNT_TOKEN_UNKNOWN") };
  audit(context, { action: "token.delete", target: `${account}/${token}`, outcome: "done" });
  return { status: 204 };
}
