/** Doing the same with several things: one that fails does not hold up the others. */
import { RegistryError } from "../client/errors.ts";
import { type ExitCode, exitCodes } from "./command.ts";
import { CommandError, isExpected } from "./errors.ts";
import type { Output } from "./output.ts";

/** What was done, what failed and why, and what was not tried because it would have failed as well. */
export type Attempts = { done: string[]; failed: { name: string; reason: string }[]; untried: string[] };

/**
 * Does something with each of several things, by their names, one after the other. Stops at a failure that is none of
 * the thing (see {@link isOfAll}).
 */
export async function attemptEach<Name extends string, Thing>(
  things: [Name, Thing][],
  work: (name: Name, thing: Thing) => Promise<void>,
): Promise<Attempts> {
  const attempts: Attempts = { done: [], failed: [], untried: [] };
  for (const [index, [name, thing]] of things.entries()) {
    try {
      await work(name, thing);
      attempts.done.push(name);
    } catch (error) {
      if (!isExpected(error)) throw error;
      attempts.failed.push({ name, reason: error.message });
      if (!isOfAll(error)) continue;
      attempts.untried = things.slice(index + 1).map(([left]) => left);
      break;
    }
  }
  return attempts;
}

/** Prints each failure on a line; returns the exit code. */
export function showFailures(
  output: Output,
  { failed, untried }: Pick<Attempts, "failed" | "untried">,
): ExitCode {
  for (const { name, reason } of failed) output.note(`stowage: ${name}: ${reason}`);
  if (untried.length > 0) output.note(`stowage: not tried: ${untried.join(", ")}`);
  return failed.length === 0 ? exitCodes.done : exitCodes.refused;
}

/**
 * Whether what was to be done next would fail as well: the registry is not reached, is elsewhere, has been asked too much,
 * or does not let the user in, or the disk takes nothing more.
 */
export function isOfAll(error: unknown): boolean {
  if (!(error instanceof CommandError || error instanceof RegistryError))
    return ["ENOSPC", "EDQUOT", "EROFS"].includes(codeOf(error));
  const { code, status = 0 } = error;
  return code === "UNREACHABLE" || status === 401 || status === 429 || (status >= 300 && status < 400);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
