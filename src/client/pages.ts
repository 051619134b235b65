/** Lists that come in pages. Source: RFC 8288; distribution-spec, "Listing Tags", "Listing Referrers". */

/** Far more than any list has; what goes on leads nowhere. */
const maxPages = 10_000;

/** A page, and the address of the next one; without it, there is none. */
export type Page<T> = { page: T; next: URL | undefined };

/** Where an answer says that the next page is, as it says it; `undefined` after the last one. */
export function nextTarget({ headers }: Pick<Response, "headers">): string | undefined {
  return /<([^>]*)>\s*;\s*(?:[^<>,]*;\s*)?rel="?next"?\s*(?:[;,]|$)/i.exec(headers.get("Link") ?? "")?.[1];
}

/**
 * The pages of a list, from the first to the last.
 *
 * @param read reads the page at an address; `undefined` ends the list
 * @param endless the error for a page that leads back to one that was read, and for more pages than any list has
 */
export async function* followPages<T>(
  first: URL,
  read: (address: URL, isFirst: boolean) => Promise<Page<T> | undefined>,
  endless: () => Error,
): AsyncGenerator<T> {
  const seen = new Set<string>();
  for (let address: URL | undefined = first; address !== undefined; ) {
    if (seen.has(address.href) || seen.size === maxPages) throw endless();
    const found: Page<T> | undefined = await read(address, seen.size === 0);
    if (found === undefined) return;
    seen.add(address.href);
    yield found.page;
    address = found.next;
  }
}
