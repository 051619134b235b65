/**
 * When a failed event is sent again: after a second, then each time after twice as long, up to an hour. The waits add
 * up to a day; they are counted, not timed, so that a registry that was off for a weekend gives nothing up for it.
 */

const firstWaitMs = 1_000;
const longestWaitMs = 3_600_000;

/** How often an event is tried before it is given up. */
export const maxAttempts = 36;

/** How long to wait after an event has failed this often, once at least; `undefined` when it is given up. */
export function waitMs(attempts: number): number | undefined {
  return attempts >= maxAttempts ? undefined : Math.min(firstWaitMs * 2 ** (attempts - 1), longestWaitMs);
}
