/**
 * Principals: the authenticated holders of a password or token.
 */
import { createHmac } from "node:crypto";
import { failure, type Result } from "../../oci/errors.ts";
import { everything, type Grant } from "../../oci/grant.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Account, TokenRecord } from "../../rpc/api.ts";

/** An authenticated identity. It may do what every one of its sets of grants allows. */
export type Principal = {
  account: string;
  grantSets: Grant[][];
  /** Changes with the credentials, which invalidates tokens that were issued for the old ones. Never reused. */
  version: string;
  /** The generated token that the caller logged in with, if any. */
  tokenId?: string;
  /** When the credential expires, in milliseconds since 1970. Tokens that are issued for it expire no later. */
  endsAtMs?: number;
};

/** The account that `ADMIN_PASSWORD` belongs to. */
export const adminName = "admin";

/** The user name of a login whose password is a federated token. */
export const federatedUser = "oidc";

/** The account name of another issuer's subject. It contains a colon, which names of accounts here never do. */
export function federatedAccount(issuer: string, subject: string): string {
  return `${federatedUser}:${issuer}:${subject}`;
}

/** Whether this is the account name of another issuer's subject. */
export function isFederated(account: string): boolean {
  return account.startsWith(`${federatedUser}:`);
}

/** The principal of a stored generated token. Error: `LOGIN_FAILED`. */
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
    // On purpose, a generated token stays valid when its account's password changes.
    version: token.id,
    tokenId: token.id,
    ...(token.expiresAtMs === undefined ? {} : { endsAtMs: token.expiresAtMs }),
  };
  return { ok: true, principal };
}

/**
 * Reloads the principal that a token was issued to, with its current grants. `version` is that of the credentials that
 * the token was issued for. A generated token needs no version, as its id is never reused.
 *
 * Error: `TOKEN_INVALID` if the account or the generated token no longer exists, if the account is or has been disabled
 * since, or if its password has changed.
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

/** The version is a keyed hash of the password, so that it cannot be used to guess the password. */
export async function adminPrincipal(registry: Registry): Promise<Principal> {
  const secret = await registry.sessionSecret();
  const version = createHmac("sha256", secret)
    .update(`admin password\n${registry.settings.adminPassword}`)
    .digest("base64url");
  return { account: adminName, grantSets: [everything], version: version.slice(0, 16) };
}
