/**
 * Batches of rows that end by their bytes as well as by their number: a call between objects takes 32 MiB, and clients
 * decide how large a row is.
 */

/** What one call passes on, in bytes as far as they are known, before it is written down for the call. */
const mostBytesOfCall = 4 * 1024 * 1024;

/** The first rows that have no more bytes together; at least one, if there is one. Reads one row more than that. */
export function takeBytes<T>(
  rows: Iterable<T>,
  bytesOf: (row: T) => number,
  mostBytes = mostBytesOfCall,
): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += bytesOf(row);
    if (bytes > mostBytes && taken.length > 0) break;
    taken.push(row);
  }
  return taken;
}
