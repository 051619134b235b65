/** Repeating requests: a backup sends many, and one of them may meet a broken connection. */
import { isPassing, pauseAfter, type RetryPolicy, systemTiming } from "../client/retry.ts";
import { CommandError } from "./errors.ts";

const policy: RetryPolicy = { attempts: 5, firstPauseMs: 400, maxPauseMs: 10_000 };

/** Does work that may be repeated, until it is done, or refused for a reason that stays. */
export async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === policy.attempts || !isTransient(error)) throw error;
      await systemTiming.sleep(pauseAfter(attempt, policy, systemTiming) ?? 0);
    }
  }
}

/** Whether there was no answer, or one that may be different later. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false;
  return error.status === undefined || isPassing(error.status);
}
