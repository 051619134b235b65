/**
 * Logging in by the password of an account.
 */
import type { Account } from "../../objects/api.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Guard } from "./guard.ts";
import type { Place } from "./places.ts";

/**
 * The account of this name, if this is its password. Costs one call to the catalog; under pressure none for a name that
 * is no account's. A password that was right lately needs no place.
 *
 * Errors: `LOGIN_FAILED`, whatever was wrong; `TOOMANYREQUESTS` where too much is derived already.
 */
export async function logInByAccountPassword(
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
