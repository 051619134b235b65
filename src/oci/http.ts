/**
 * What HTTP and distribution-spec say of requests: validators and conditions (RFC 9110, sections 8.8.3 and 13), ranges of
 * downloads (section 14) and of uploads (distribution-spec, "Pushing a blob in chunks"), pages of lists
 * (distribution-spec, "Listing Tags"; RFC 8288 for `Link`).
 */

/** The entity tag of content with this digest: the digest, quoted. It is strong: same tag, same bytes. */
export function entityTag(digest: string): string {
  return `"${digest}"`;
}

/**
 * Whether an `If-None-Match` header says that the client already has what carries this entity tag (the answer is
 * then 304). The comparison is the weak one, as section 13.1.2 asks.
 */
export function isNoneMatchSatisfiedBy(header: string | null, tag: string): boolean {
  if (header === null) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === tag);
}

/**
 * Whether a `Range` header counts under this `If-Range` header: always without one, else only for the same strong
 * entity tag (section 13.1.5). A date never matches, as no answer carries `Last-Modified`.
 */
export function isRangeApplicable(ifRange: string | null, tag: string): boolean {
  return ifRange === null || ifRange.trim() === tag;
}

/** Part of some content: `length` bytes from `offset`, both whole numbers. */
export type ByteRange = { offset: number; length: number };

/** What a `Range` header asks of content of a known size: the ranges in the order asked, none of which is empty. */
export type RangeRequest = "whole" | "unsatisfiable" | [ByteRange, ...ByteRange[]];

/** The most ranges that a request may ask for: as many as podman and buildah ask for at once. */
export const maxRanges = 1024;

/**
 * Reads a `Range` header against content of `sizeBytes`. Source: RFC 9110, sections 14.1 and 14.2.
 *
 * Ranges beyond the end are left out if others lie within. The answer is the whole where the header is malformed or in
 * another unit, where there are more than {@link maxRanges}, where some overlap (section 17.15: nobody needs that, and
 * it multiplies what is sent), and where the content is empty. A range that ends before it begins is rejected.
 */
export function parseRange(header: string | null, sizeBytes: number): RangeRequest {
  const set = /^bytes=(.*)$/i.exec(header?.trim() ?? "")?.[1];
  if (set === undefined || sizeBytes === 0) return "whole";
  // A list may have empty elements (RFC 9110, section 5.6.1.2).
  const specs = set.split(",").flatMap((each) => each.trim() || []);
  if (specs.length === 0 || specs.length > maxRanges) return "whole";
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseSpec(spec, sizeBytes);
    if (range === "malformed") return "whole";
    if (range === "backwards") return "unsatisfiable";
    if (range !== "beyond") ranges.push(range);
  }
  const [first, ...more] = ranges;
  if (first === undefined) return "unsatisfiable";
  return doOverlap(ranges) ? "whole" : [first, ...more];
}

/** Reads one `first-last`, `first-` or `-length`. Positions of any number of digits are taken. */
function parseSpec(spec: string, sizeBytes: number): ByteRange | "malformed" | "backwards" | "beyond" {
  const [, firstText = "", lastText = ""] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
  if (firstText === "" && lastText === "") return "malformed";
  if (firstText === "") {
    const length = Math.min(Number(lastText), sizeBytes);
    return length === 0 ? "beyond" : { offset: sizeBytes - length, length };
  }
  const first = Number(firstText);
  const last = lastText === "" ? Number.POSITIVE_INFINITY : Number(lastText);
  if (last < first) return "backwards";
  if (first >= sizeBytes) return "beyond";
  return { offset: first, length: Math.min(last, sizeBytes - 1) - first + 1 };
}

function doOverlap(ranges: ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.offset - b.offset);
  return sorted.some(
    ({ offset, length }, index) => offset + length > (sorted[index + 1]?.offset ?? Infinity),
  );
}

/**
 * Reads the `Content-Range` of a chunk, `<first>-<last>`, both inclusive; `undefined` when it is malformed.
 *
 * Some clients send the form of RFC 9110, `bytes <first>-<last>/<size or *>`; it means the same and is taken too.
 */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim());
  if (match === null) return undefined;
  const offset = Number(match[1]);
  const length = Number(match[2]) - offset + 1;
  return length > 0 ? { offset, length } : undefined;
}

/**
 * The `Range` header of an upload that has received `sizeBytes`: `0-<last>`.
 *
 * An empty upload says `0-0`, as registries have done since the first: the form has no word for nothing.
 */
export function uploadRange(sizeBytes: number): string {
  return `0-${Math.max(0, sizeBytes - 1)}`;
}

/** Reads a `Content-Length`; `undefined` when there is none or it is malformed. */
export function parseContentLength(header: string | null): number | undefined {
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

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
