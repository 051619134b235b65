/**
 * Who somebody is, once a password or token has shown it.
 */
import { createHmac } from "node:crypto";
import { failure, type Result } from "../../oci/errors.ts";
import { everything, type Grant } from "../../oci/grant.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Account, TokenRecord } from "../../rpc/api.ts";

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
export const federatedUser = "oidc";

/** How the subject of another issuer is called. No account here has a colon in its name. */
export function federatedAccount(issuer: string, subject: string): string {
  return `${federatedUser}:${issuer}:${subject}`;
}

/** Whether this is the name of another issuer's subject. */
export function isFederated(account: string): boolean {
  return account.startsWith(`${federatedUser}:`);
}

/** Who shows this generated token, as it is kept. Error: `LOGIN_FAILED`. */
export async function principalOfToken(
  registry: Registry,
  token: TokenRecord,
): Promise<Result<{ principal: Principal }>> {
  if (token.expiresAtMs !== undefined && token.expiresAtMs <= registry.clock.now())
    return failure("LOGIN_FAILED");
  const owner = await enabledPrincipal(registry, token.account);
  if (owner === undefined) return failure("LOGIN_FAILED");
  const principal: Principal = {
    account: token.account,
    grantSets: token.grants === undefined ? owner.grantSets : [...owner.grantSets, token.grants],
    // A token outlives a change of its account's password: that is what it is for.
    version: token.id,
    tokenId: token.id,
    ...(token.expiresAtMs === undefined ? {} : { endsAtMs: token.expiresAtMs }),
  };
  return { ok: true, principal };
}

/**
 * Who something was issued to, as they are now: with the grants of today. `version` is that of the credentials it was
 * issued for; a generated token is its own, as its id is never given to another.
 *
 * Error: `TOKEN_INVALID` when the account or the generated token is gone, when the account is disabled or was since,
 * or when its password has changed.
 */
export async function reload(
  registry: Registry,
  account: string,
  tokenId: string | undefined,
  version: string | undefined,
): Promise<Result<{ principal: Principal }>> {
  if (tokenId !== undefined) {
    const token = await registry.catalog().token(tokenId);
    const reloaded = token?.account === account ? await principalOfToken(registry, token) : undefined;
    return reloaded?.ok ? reloaded : failure("TOKEN_INVALID");
  }
  const principal = await enabledPrincipal(registry, account);
  return principal?.version === version && principal !== undefined
    ? { ok: true, principal }
    : failure("TOKEN_INVALID");
}

async function enabledPrincipal(registry: Registry, name: string): Promise<Principal | undefined> {
  if (name === adminName) {
    return registry.settings.adminPassword === undefined ? undefined : adminPrincipal(registry);
  }
  const account = await registry.catalog().account(name);
  return account === undefined || account.isDisabled ? undefined : accountPrincipal(account);
}

/** The principal of an account that is not disabled. */
export function accountPrincipal(account: Account): Principal {
  return { account: account.name, grantSets: [account.grants], version: String(account.version) };
}

/** The version is a keyed hash of the password: nobody who reads it can try passwords against it. */
export async function adminPrincipal(registry: Registry): Promise<Principal> {
  const secret = await registry.sessionSecret();
  const version = createHmac("sha256", secret)
    .update(`admin password\n${registry.settings.adminPassword}`)
    .digest("base64url");
  return { account: adminName, grantSets: [everything], version: version.slice(0, 16) };
}
