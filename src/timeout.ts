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
