/** The `Link` header of a page that has another one after it. */
import { nextPageLink, type PageRequest } from "../../oci/http.ts";
import type { HeaderMap } from "../context.ts";

/** `Link` to the page after `last`, where there is `more`; no header for a page of no entries. */
export function linkHeader(url: URL, page: PageRequest, more: boolean, last: string | undefined): HeaderMap {
  if (!more || last === undefined) return {};
  return { Link: nextPageLink(url, { limit: page.limit, last }) };
}
