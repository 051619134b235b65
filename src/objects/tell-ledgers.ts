/**
 * How the walks of an object over a list of ledgers call them. A ledger that does not answer, or has data of a later
 * release, holds up none of those after it: it is called again later, by a row of its own.
 */
import { log } from "../log.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/reference.ts";
import { HasLaterData } from "../rpc/stubs.ts";
import { hour, minute } from "../units.ts";

/** When a ledger that did not answer is called again, in milliseconds: it may take two minutes each time. */
const againMs = 5 * minute;

/** When one with data of a later release is called again: only that release can do what it is told. */
const laterDataAgainMs = hour;

/** A ledger that was not told, and in how many milliseconds it is to be told again. */
export type Untold = { name: RepositoryName; againInMs: number };

/** Tells the ledgers of these names, all at once. Returns those that were not told. Never throws. */
export async function tellLedgers(
  names: RepositoryName[],
  tell: (name: RepositoryName) => Promise<void>,
): Promise<Untold[]> {
  const untold = await Promise.all(
    names.map(async (name): Promise<Untold[]> => {
      try {
        await tell(name);
        return [];
      } catch (error) {
        // The object has logged that itself.
        if (error instanceof HasLaterData) return [{ name, againInMs: laterDataAgainMs }];
        log("warn", "ledger not told", { repository: name, error: String(error) });
        return [{ name, againInMs: againMs }];
      }
    }),
  );
  return untold.flat();
}

const alone = " !";

/** The id of a row for one ledger: that of a row for those after it, and a mark, which no name can have. */
export function idOfOne(id: string): string {
  return `${id}${alone}`;
}

/** The name with which the id of a row for one ledger ends; `undefined` for other rows. */
export function nameOfOne(id: string): RepositoryName | undefined {
  if (!id.endsWith(alone)) return undefined;
  return parseRepositoryName(id.slice(0, -alone.length).split(" ").at(-1) ?? "");
}
