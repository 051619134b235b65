/** Sets that are bound as JSON: a parameter holds 2 MB, and a manifest of 4 MiB names more than that. */
const itemsAPiece = 2000;

/** What a statement returns for each piece of a set, bound as JSON. */
export function inPieces<T>(items: readonly unknown[], run: (json: string) => T[]): T[] {
  const results: T[][] = [];
  for (let start = 0; start < items.length; start += itemsAPiece) {
    results.push(run(JSON.stringify(items.slice(start, start + itemsAPiece))));
  }
  return results.flat();
}
