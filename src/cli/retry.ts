/** Trying again: a backup goes over many requests, one of which may meet a broken connection. */
import { setTimeout as delay } from "node:timers/promises";
import { CommandError } from "./errors.ts";

const attempts = 5;
const firstPauseMs = 200;

/** Does work that may be repeated, until it is done, or refused for a reason that stays. */
export async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === attempts || !isTransient(error)) throw error;
      await delay(firstPauseMs * 2 ** attempt);
    }
  }
}

/** Whether there was no answer, or one that says that another one may come later. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false;
  return error.status === undefined || error.status === 429 || error.status >= 500;
}
