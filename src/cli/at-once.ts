/** Work on several things, some of them at a time. */

/**
 * Does something with each of several things, in their order, so many at a time; returns the results. If that fails with
 * one, no other is begun. What is under way ends before the failure is thrown, so that no work goes on after it.
 */
export async function mapAtOnce<T, R>(
  things: readonly T[],
  atOnce: number,
  work: (thing: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = things.entries();
  let hasFailed = false;
  const worker = async () => {
    for (let next = left.next(); !hasFailed && next.done !== true; next = left.next()) {
      const [index, thing] = next.value;
      try {
        results[index] = await work(thing, index);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const each of ended) if (each.status === "rejected") throw each.reason;
  return results;
}
