/**
 * Logging in: by the password of an account, by a generated token, or by a token of another issuer.
 */

import { networkOf } from "../../oci/address.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Account, PasswordHash } from "../../rpc/api.ts";
import { day } from "../../units.ts";
import type { FederatedIdentities } from "./federated.ts";
import type { LoginThrottle, Slot } from "./login-throttle.ts";
import { hashPassword, hashSecret, isGeneratedSecret, type PasswordChecker } from "./passwords.ts";
import {
  accountPrincipal,
  adminName,
  adminPrincipal,
  federatedUser,
  type Principal,
  principalOfToken,
} from "./principal.ts";

/** What logging in keeps in the memory of an isolate. */
export type LoginCache = {
  registry: Registry;
  federated: FederatedIdentities;
  passwords: PasswordChecker;
  /** Limits the derivations of passwords. */
  throttle: LoginThrottle;
};

/**
 * Logs in by a user name and a password, from this network if it is known. Errors: `LOGIN_FAILED`, whatever was wrong;
 * `TOOMANYREQUESTS` if too many passwords are being derived; `UNAVAILABLE` if the keys of another issuer cannot be
 * fetched.
 *
 * Costs one call to the catalog at most, or two for a generated token.
 */
export async function logIn(
  cache: LoginCache,
  name: string,
  password: string,
  network: string | undefined,
): Promise<Result<{ principal: Principal }>> {
  if (name === federatedUser) return cache.federated.exchange(password);
  if (isGeneratedSecret(password)) return logInByToken(cache, password, name);
  const { registry, passwords } = cache;
  if (name === adminName) {
    const { adminPassword } = registry.settings;
    // If no password is set, the given one is compared with itself and refused, so that it takes the same time.
    const isRight = passwords.isSame(password, adminPassword ?? password) && adminPassword !== undefined;
    return isRight ? { ok: true, principal: await adminPrincipal(registry) } : failure("LOGIN_FAILED");
  }
  const loggedIn = await logInByAccountPassword(cache, name, password, network);
  return loggedIn.ok ? { ok: true, principal: accountPrincipal(loggedIn.account) } : loggedIn;
}

/** Logs in by a generated token. It must belong to the account `name`, if that is given. Error: `LOGIN_FAILED`. */
export async function logInByToken(
  cache: LoginCache,
  secret: string,
  name?: string,
): Promise<Result<{ principal: Principal }>> {
  const { registry } = cache;
  if (!isGeneratedSecret(secret)) return failure("LOGIN_FAILED");
  const today = Math.floor(registry.clock.now() / day);
  const token = await registry.catalog().tokenBySecret(hashSecret(secret), today);
  if (token === undefined || (name !== undefined && name !== token.account)) return failure("LOGIN_FAILED");
  return principalOfToken(registry, token);
}

/**
 * The account of this name, if this is its password. Costs one call to the catalog, or none under pressure if no
 * account has this name. A password that was right within the last minute needs no slot.
 *
 * Errors: `LOGIN_FAILED`, whatever was wrong; `TOOMANYREQUESTS` if too many passwords are being derived.
 */
async function logInByAccountPassword(
  cache: LoginCache,
  name: string,
  password: string,
  network: string | undefined,
): Promise<Result<{ account: Account }>> {
  const { registry, throttle, passwords } = cache;
  const arrivedAt = registry.clock.now();
  const refuse = async () => {
    await throttle.waitBeforeRefusal(arrivedAt);
    return failure("TOOMANYREQUESTS");
  };
  let slot = throttle.acquire(network);
  const isUnderPressure = slot === undefined;
  try {
    if (isUnderPressure && !(await throttle.mayBeKnown(name))) return await refuse();
    const account = await registry.catalog().account(name);
    if (!passwords.isRemembered(password, account?.password)) {
      if (isUnderPressure && account !== undefined) slot = throttle.acquireForFirstAttempt(network, name);
      if (slot === undefined) return await refuse();
      if (!(await isRight(cache, slot, password, account))) {
        await throttle.countFailure(network);
        return isUnderPressure ? await refuse() : failure("LOGIN_FAILED");
      }
    }
    return account === undefined || account.isDisabled ? failure("LOGIN_FAILED") : { ok: true, account };
  } finally {
    slot?.release();
  }
}

async function isRight(
  { passwords }: LoginCache,
  slot: Slot,
  password: string,
  account: Account | undefined,
): Promise<boolean> {
  try {
    await slot.start();
    return await passwords.isRight(password, account?.password);
  } finally {
    slot.release();
  }
}

/** The hash of a new password that is set from this address. Error: `TOOMANYREQUESTS`. */
export async function deriveNewPassword(
  { throttle }: LoginCache,
  password: string,
  address: string,
): Promise<Result<{ hash: PasswordHash }>> {
  const slot = throttle.acquireForNewPassword(networkOf(address));
  if (slot === undefined) return failure("TOOMANYREQUESTS");
  try {
    await slot.start();
    return { ok: true, hash: await hashPassword(password) };
  } finally {
    slot.release();
  }
}
