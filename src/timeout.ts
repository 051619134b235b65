/** Waiting for a promise, but not for ever. */

/**
 * What a promise comes to, if that takes at most `timeoutMs` milliseconds; else `late`. What it comes to later is dropped;
 * what it does goes on.
 */
export async function withTimeout<T, Late>(
  promise: Promise<T>,
  timeoutMs: number,
  late: Late,
): Promise<T | Late> {
  const { promise: isOver, resolve } = Promise.withResolvers<Late>();
  const timer = setTimeout(() => resolve(late), timeoutMs);
  try {
    return await Promise.race([promise, isOver]);
  } finally {
    clearTimeout(timer);
  }
}

/** A call has not been answered in time. What it does may still happen. */
export class TimedOut extends Error {
  override name = "TimedOut";
}

const late = Symbol("late");

/**
 * What a call comes to, if that takes at most `timeoutMs` milliseconds.
 *
 * @throws TimedOut if it takes longer, and whatever the call throws
 */
export async function answerWithin<T>(timeoutMs: number, call: Promise<T>): Promise<T> {
  const answer = await withTimeout(call, timeoutMs, late);
  if (answer !== late) return answer as T;
  // Nobody waits for it any more.
  call.catch(() => {});
  throw new TimedOut(`no answer within ${timeoutMs / 1000} s`);
}
