/** What the command line uses of the language and of the web's interfaces that Node 20 does not have. */

URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);

Array.fromAsync ??= async (source: AsyncIterable<unknown> | Iterable<unknown>) => {
  const items: unknown[] = [];
  for await (const item of source) items.push(item);
  return items;
};

Promise.withResolvers ??= <T>() => {
  const settle: Partial<Pick<PromiseWithResolvers<T>, "resolve" | "reject">> = {};
  const promise = new Promise<T>((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return { promise, ...settle } as PromiseWithResolvers<T>;
};

Set.prototype.difference ??= function <T>(this: Set<T>, other: ReadonlySetLike<unknown>): Set<T> {
  return new Set([...this].filter((item) => !other.has(item)));
};

export {};
