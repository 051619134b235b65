/**
 * Who somebody is, once a password or token has shown it.
 */
import { createHmac } from "node:crypto";
import type { Account, TokenRecord } from "../../objects/api.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { everything, type Grant } from "../../oci/grant.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Guard } from "./guard.ts";
import { logInByAccountPassword } from "./password-login.ts";
import { hashSecret, isGeneratedSecret } from "./passwords.ts";

/** Somebody. What they may do is what every set of grants allows. */
export type Principal = {
  account: string;
  grantSets: Grant[][];
  /** Changes when the credentials do, so that what was issued for the old ones ends; no account has one again. */
  version: string;
  /** The generated token that was shown, if one was. */
  tokenId?: string;
  /** When what was shown ends, in milliseconds since 1970; nothing issued for it lives longer. */
  endsAtMs?: number;
};

/** The account that `ADMIN_PASSWORD` belongs to. */
export const adminName = "admin";

/** The user name under which tokens of other issuers are shown as passwords. */
export const outsiderName = "oidc";

/** How the subject of another issuer is called. No account here has a colon in its name. */
export function outsiderAccount(issuer: string, subject: string): string {
  return `${outsiderName}:${issuer}:${subject}`;
}

/** Whether this is the name of another issuer's subject. */
export function isOutsider(account: string): boolean {
  return account.startsWith(`${outsiderName}:`);
}

/**
 * Who shows this user name and password, from this network if it is known. Errors: `LOGIN_FAILED`, whatever was wrong;
 * `TOOMANYREQUESTS` where too many passwords are derived already; `UNAVAILABLE` when the keys of another issuer cannot
 * be had.
 *
 * Costs one call to the catalog at most, or two for a generated token.
 */
export async function logIn(
  guard: Guard,
  name: string,
  password: string,
  network: string | undefined,
): Promise<Result<{ principal: Principal }>> {
  if (name === outsiderName) return guard.outsiders.exchange(password);
  if (isGeneratedSecret(password)) return logInByToken(guard, password, name);
  const { registry, passwords } = guard;
  if (name === adminName) {
    const { adminPassword } = registry.settings;
    // An unset password is compared with itself, and is wrong: as long as it takes for a set one.
    const isRight = passwords.isSame(password, adminPassword ?? password) && adminPassword !== undefined;
    return isRight ? known(await adminPrincipal(registry)) : failure("LOGIN_FAILED");
  }
  const loggedIn = await logInByAccountPassword(guard, name, password, network);
  return loggedIn.ok ? known(accountPrincipal(loggedIn.account)) : loggedIn;
}

/** Who shows this generated token; `name`: it must be this account's. Error: `LOGIN_FAILED`. */
export async function logInByToken(
  guard: Guard,
  secret: string,
  name?: string,
): Promise<Result<{ principal: Principal }>> {
  const { registry } = guard;
  if (!isGeneratedSecret(secret)) return failure("LOGIN_FAILED");
  const day = Math.floor(registry.clock.now() / 86_400_000);
  const token = await registry.catalog().tokenBySecret(hashSecret(secret), day);
  if (token === undefined || (name !== undefined && name !== token.account)) return failure("LOGIN_FAILED");
  return byToken(registry, token);
}

async function byToken(registry: Registry, token: TokenRecord): Promise<Result<{ principal: Principal }>> {
  if (token.expiresAtMs !== undefined && token.expiresAtMs <= registry.clock.now())
    return failure("LOGIN_FAILED");
  const owner = await enabledPrincipal(registry, token.account);
  if (owner === undefined) return failure("LOGIN_FAILED");
  return known({
    account: token.account,
    grantSets: token.grants === undefined ? owner.grantSets : [...owner.grantSets, token.grants],
    // A token outlives a change of its account's password: that is what it is for.
    version: token.id,
    tokenId: token.id,
    ...(token.expiresAtMs === undefined ? {} : { endsAtMs: token.expiresAtMs }),
  });
}

/**
 * Who something was issued to, as they are now: with the grants of today. `version` is that of the credentials it was
 * issued for; a generated token is its own, as its id is never given to another.
 *
 * Error: `TOKEN_INVALID` when the account or the generated token is gone, when the account is disabled or was since,
 * or when its password has changed.
 */
export async function recall(
  registry: Registry,
  account: string,
  tokenId: string | undefined,
  version: string | undefined,
): Promise<Result<{ principal: Principal }>> {
  if (tokenId !== undefined) {
    const token = await registry.catalog().token(tokenId);
    const recalled = token?.account === account ? await byToken(registry, token) : undefined;
    return recalled?.ok ? recalled : failure("TOKEN_INVALID");
  }
  const principal = await enabledPrincipal(registry, account);
  return principal?.version === version && principal !== undefined
    ? known(principal)
    : failure("TOKEN_INVALID");
}

async function enabledPrincipal(registry: Registry, name: string): Promise<Principal | undefined> {
  if (name === adminName) {
    return registry.settings.adminPassword === undefined ? undefined : adminPrincipal(registry);
  }
  const account = await registry.catalog().account(name);
  return account === undefined || account.isDisabled ? undefined : accountPrincipal(account);
}

function accountPrincipal(account: Account): Principal {
  return { account: account.name, grantSets: [account.grants], version: String(account.version) };
}

/** The version is a keyed hash of the password: nobody who reads it can try passwords against it. */
async function adminPrincipal(registry: Registry): Promise<Principal> {
  const secret = await registry.sessionSecret();
  const version = createHmac("sha256", secret)
    .update(`admin password\n${registry.settings.adminPassword}`)
    .digest("base64url");
  return { account: adminName, grantSets: [everything], version: version.slice(0, 16) };
}

function known(principal: Principal): Result<{ principal: Principal }> {
  return { ok: true, principal };
}
