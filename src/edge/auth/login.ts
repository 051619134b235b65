/**
 * Logging in: by the password of an account, by a generated token, or by a token of another issuer.
 */
import type { Account } from "../../objects/api.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Guard } from "./guard.ts";
import { hashSecret, isGeneratedSecret } from "./passwords.ts";
import type { Place } from "./places.ts";
import {
  accountPrincipal,
  adminName,
  adminPrincipal,
  outsiderName,
  type Principal,
  principalOfToken,
} from "./principal.ts";

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
    return isRight ? { ok: true, principal: await adminPrincipal(registry) } : failure("LOGIN_FAILED");
  }
  const loggedIn = await logInByAccountPassword(guard, name, password, network);
  return loggedIn.ok ? { ok: true, principal: accountPrincipal(loggedIn.account) } : loggedIn;
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
  return principalOfToken(registry, token);
}

/**
 * The account of this name, if this is its password. Costs one call to the catalog; under pressure none for a name that
 * is no account's. A password that was right lately needs no place.
 *
 * Errors: `LOGIN_FAILED`, whatever was wrong; `TOOMANYREQUESTS` where too much is derived already.
 */
async function logInByAccountPassword(
  guard: Guard,
  name: string,
  password: string,
  network: string | undefined,
): Promise<Result<{ account: Account }>> {
  const { registry, gate, passwords } = guard;
  const beganAt = registry.clock.now();
  const refuse = async () => {
    await gate.untilTold(beganAt);
    return failure("TOOMANYREQUESTS");
  };
  let place = gate.enter(network);
  const isUnderPressure = place === undefined;
  try {
    if (isUnderPressure && !(await gate.mayBeKnown(name))) return await refuse();
    const account = await registry.catalog().account(name);
    if (!passwords.isRemembered(password, account?.password, registry.clock.now())) {
      if (isUnderPressure && account !== undefined) place = gate.enterFirstTry(network, name);
      if (place === undefined) return await refuse();
      if (!(await isRight(guard, place, password, account))) {
        await gate.countFailure(network);
        return isUnderPressure ? await refuse() : failure("LOGIN_FAILED");
      }
    }
    return account === undefined || account.isDisabled ? failure("LOGIN_FAILED") : { ok: true, account };
  } finally {
    place?.leave();
  }
}

async function isRight(
  { registry, passwords }: Guard,
  place: Place,
  password: string,
  account: Account | undefined,
): Promise<boolean> {
  try {
    await place.turn();
    return await passwords.isRight(password, account?.password, registry.clock.now());
  } finally {
    place.leave();
  }
}
