/**
 * Pages of lists. Source: distribution-spec, "Listing Tags"; RFC 8288 (which replaced RFC 5988) for `Link`.
 */

/** What page of a list is asked for: at most `limit` entries that sort after `last`. */
export type PageRequest = { limit: number; last: string };

/** The most entries a page has, whatever the client asks for. */
export const maxPageSize = 10_000;

/**
 * Reads `n` and `last` of a query. A page larger than {@link maxPageSize} is cut to it; the `Link` header tells.
 *
 * Returns `undefined` when `n` is not a whole number of zero or more.
 */
export function parsePage(query: URLSearchParams): PageRequest | undefined {
  const n = query.get("n");
  const last = query.get("last") ?? "";
  if (n === null) return { limit: maxPageSize, last };
  if (!/^\d+$/.test(n)) return undefined;
  return { limit: Math.min(Number(n), maxPageSize), last };
}

/**
 * The `Link` header that leads to the page after `last`: the same request with other `n` and `last`, and the slashes of
 * the repository's name as they are.
 */
export function nextPageLink(url: URL, page: { limit: number; last: string }): string {
  const query = new URLSearchParams(url.search);
  query.set("n", String(page.limit));
  query.set("last", page.last);
  return `<${url.pathname.replace(/%2f/gi, "/")}?${query}>; rel="next"`;
}
