/**
 * When a failed event is sent again: after a second, then after twice as long each time, up to an hour. The waits add
 * up to a day. Tries are counted, not timed, so that a registry that was off for a weekend gives nothing up.
 */

const firstWaitMs = 1_000;
const longestWaitMs = 3_600_000;

/** How often an event is tried before it is given up. */
export const maxAttempts = 36;

/** How long to wait after an event has failed this often (at least once); `undefined` if it is given up. */
export function waitMs(attempts: number): number | undefined {
  return attempts >= maxAttempts ? undefined : Math.min(firstWaitMs * 2 ** (attempts - 1), longestWaitMs);
}
