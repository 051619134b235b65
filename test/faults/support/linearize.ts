/**
 * Whether what several clients did to one thing at once can have happened one after the other, each between its request
 * and its answer. (Herlihy and Wing, "Linearizability", 1990.)
 */

/** Something that a client did, between two moments. */
export type Operation<Value> = {
  start: number;
  end: number;
  /** Whether it was done; else it may have been, then or at any time later. */
  isCertain: boolean;
  /** What it makes of a value; `undefined`: its answer says that the value was another one. */
  apply(value: Value): { value: Value } | undefined;
};

/** The values that may have come of it in the end; none if the answers contradict each other. */
export function linearize<Value>(before: Iterable<Value>, operations: Operation<Value>[]): Set<Value> {
  const after = new Set<Value>();
  const tried = new Map<Value, Set<number>>();
  const certain = operations.reduce(
    (mask, { isCertain }, index) => (isCertain ? mask | (1 << index) : mask),
    0,
  );
  const explore = (value: Value, done: number): void => {
    const masks = tried.get(value) ?? new Set();
    if (masks.has(done)) return;
    tried.set(value, masks.add(done));
    if ((done & certain) === certain) after.add(value);
    for (const [index, operation] of operations.entries()) {
      if ((done & (1 << index)) !== 0 || !mayBeNext(operations, done, operation)) continue;
      const next = operation.apply(value);
      if (next !== undefined) explore(next.value, done | (1 << index));
    }
  };
  for (const value of before) explore(value, 0);
  return after;
}

/** Nothing that was certainly over when it began is still to come. */
function mayBeNext<Value>(operations: Operation<Value>[], done: number, next: Operation<Value>): boolean {
  return operations.every(
    ({ isCertain, end }, index) => (done & (1 << index)) !== 0 || !isCertain || end > next.start,
  );
}
