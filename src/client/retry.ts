/** When a request is tried again, and how long to wait before. */

import { hour, second } from "../units.ts";

/** Time and randomness for a client; tests pass their own. Times are milliseconds. */
export type Timing = {
  now(): number;
  /** Waits; rejects with the signal's reason when that comes first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** A number from 0 to 1, without 1. */
  random(): number;
};

/** The runtime's own clock and chance. */
export const systemTiming: Timing = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const timer = setTimeout(finish, milliseconds);
      signal?.addEventListener("abort", finish, { once: true });
      function finish(): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        if (signal?.aborted === true) reject(signal.reason);
        else resolve();
      }
    }),
  random: () => Math.random(),
};

/** How often something is tried, and the pauses before the second and the last time. */
export type RetryPolicy = { attempts: number; firstPauseMs: number; maxPauseMs: number };

/** About ten seconds in all: longer than a server takes to restart. */
export const defaultPolicy: RetryPolicy = { attempts: 6, firstPauseMs: 300, maxPauseMs: 10_000 };

/** The longest pause that an answer may ask for; if it asks for more, the client gives up. */
const longestAskedPauseMs = 60_000;

/** Whether the status means that the same request may succeed later. */
export function isPassing(status: number): boolean {
  return (
    status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505 && status !== 507)
  );
}

/**
 * The pause after the attempt of this number, which counts from 1: twice as long each time, and somewhere between half
 * of that and all of it, so that many clients do not come back at once. At least what the answer asked for.
 * `undefined`: do not wait, as it asked for too much.
 */
export function pauseAfter(
  attempt: number,
  { firstPauseMs, maxPauseMs }: RetryPolicy,
  { random }: Pick<Timing, "random">,
  askedMs = 0,
): number | undefined {
  if (askedMs > longestAskedPauseMs) return undefined;
  const longest = Math.min(maxPauseMs, firstPauseMs * 2 ** (attempt - 1));
  return Math.max(askedMs, longest * (0.5 + random() / 2));
}

/** What a `Retry-After` counts for at most, in milliseconds: a cache tells it to its own clients. */
const longestRetryAfterMs = hour;

/**
 * The pause in a `Retry-After`, in milliseconds, at most an hour; `undefined` if there is none. Source: RFC 9110, section
 * 10.2.3.
 */
export function retryAfterMs({ headers }: Pick<Response, "headers">): number | undefined {
  const text = headers.get("Retry-After")?.trim() ?? "";
  // By the clock of the server that named the time.
  const wait = /^\d+$/.test(text)
    ? Number(text) * second
    : Date.parse(text) - Date.parse(headers.get("Date") ?? "");
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(0, wait), longestRetryAfterMs);
}
