/** The errors of commands, whose messages are for people. */
import { RegistryError } from "../client/errors.ts";

/** The command line is wrong; the message says why. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The parts of an error that programs read: its code, the digest that it is about, and what it came from. */
export type ErrorFacts = { code?: string | undefined; digest?: string | undefined; cause?: Error };

/** The registry refused, or could not be reached; the message says why. */
export class CommandError extends Error {
  override name = "CommandError";
  /** The status of the registry's answer, if it gave one. */
  readonly status: number | undefined;
  /** The code of the answer's error, if it has one; `UNREACHABLE` when there was no answer. */
  readonly code: string | undefined;
  /** The digest that the answer's error is about, if it names one. */
  readonly digest: string | undefined;

  constructor(message: string, status?: number, { code, digest, cause }: ErrorFacts = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.status = status;
    this.code = code;
    this.digest = digest;
  }
}

/** Whether an error has a message for people; errors of files have one, too. */
export function isExpected(error: unknown): error is Error {
  if (error instanceof UsageError || error instanceof CommandError || error instanceof RegistryError)
    return true;
  return error instanceof Error && "syscall" in error;
}
