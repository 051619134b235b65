/**
 * HTTP headers and queries: validators and conditions (RFC 9110, sections 8.8.3 and 13), ranges of downloads (section
 * 14) and of uploads (distribution-spec, "Pushing a blob in chunks"), pages of lists (distribution-spec, "Listing
 * Tags"; RFC 8288 for `Link`).
 */

/** On every answer. */
export const commonHeaders: Readonly<Record<string, string>> = {
  "Docker-Distribution-Api-Version": "registry/2.0",
  "X-Content-Type-Options": "nosniff",
};

/** The entity tag of content with this digest: the digest, quoted. It is strong: same tag, same bytes. */
export function entityTag(digest: string): string {
  return `"${digest}"`;
}

/**
 * Whether an `If-None-Match` header matches this entity tag, so that the answer is 304. The comparison is weak, as
 * section 13.1.2 requires.
 */
export function isNoneMatchSatisfiedBy(header: string | null, tag: string): boolean {
  return header !== null && isListed(header, (candidate) => candidate.replace(/^W\//, "") === tag);
}

/** Whether a list of entity tags has one that matches. `*` matches alone; elements may be empty (section 5.6.1.2). */
function isListed(header: string, matches: (candidate: string) => boolean): boolean {
  const candidates = header.split(",").flatMap((each) => each.trim() || []);
  return candidates.some(matches) || (candidates.length === 1 && candidates[0] === "*");
}

/** What the conditions of a GET or HEAD come to: it is `not modified` where the client has the content already. */
export type Condition = "send" | "not modified" | "failed";

/**
 * Evaluates the conditions of a GET or HEAD for content with this strong entity tag. Source: section 13.2.2; those on
 * dates are passed over, as no answer has `Last-Modified`.
 */
export function conditionOf(headers: Pick<Headers, "get">, tag: string): Condition {
  const wanted = headers.get("If-Match");
  if (wanted !== null && !isMatchSatisfiedBy(wanted, tag)) return "failed";
  return isNoneMatchSatisfiedBy(headers.get("If-None-Match"), tag) ? "not modified" : "send";
}

/** Whether an `If-Match` header names this entity tag. The comparison is strong, as section 13.1.1 requires. */
export function isMatchSatisfiedBy(header: string, tag: string): boolean {
  return isListed(header, (candidate) => candidate === tag);
}

/**
 * Whether a `Range` header applies under this `If-Range` header: always without one, otherwise only with the same
 * strong entity tag (section 13.1.5). A date never matches, as no answer has `Last-Modified`.
 */
export function isRangeApplicable(ifRange: string | null, tag: string): boolean {
  return ifRange === null || ifRange.trim() === tag;
}

/** A range of bytes: `length` bytes from `offset`, both whole numbers. */
export type ByteRange = { offset: number; length: number };

/** The ranges that a `Range` header requests of content of a known size, in the order requested. None is empty. */
export type RangeRequest = "whole" | "unsatisfiable" | [ByteRange, ...ByteRange[]];

/** How many ranges a request may have at most: as many as podman and buildah request at once. */
const maxRanges = 1024;

/**
 * Reads a `Range` header against content of `sizeBytes`. Source: RFC 9110, sections 14.1 and 14.2.
 *
 * Ranges beyond the end are left out if there are others. The header is ignored, and the whole content sent, if it is
 * malformed or in another unit, if it has more than {@link maxRanges}, if ranges overlap (section 17.15: nobody needs
 * that, and it multiplies the bytes sent), and if the content is empty. A range that ends before it begins is rejected.
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

/** Reads one `first-last`, `first-` or `-length`. Positions may have any number of digits. */
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
 * Reads the `Content-Range` of a chunk, `<first>-<last>`, both inclusive; `undefined` if it is malformed.
 *
 * Some clients send the form of RFC 9110, `bytes <first>-<last>/<size or *>`, which is accepted, too.
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
 * An empty upload has `0-0`, as in every registry since the first: the format cannot express an empty range.
 */
export function uploadRange(sizeBytes: number): string {
  return `0-${Math.max(0, sizeBytes - 1)}`;
}

/** Reads a `Content-Length`; `undefined` if it is missing or malformed. */
export function parseContentLength(header: string | null): number | undefined {
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

/** The requested page of a list: at most `limit` entries that sort after `last`. */
export type PageRequest = { limit: number; last: string };

/** How many entries a page has at most, whatever the client requests. */
export const maxPageSize = 10_000;

/**
 * Reads `n` and `last` of a query. A larger page is cut to {@link maxPageSize}; the `Link` header shows that there is
 * more.
 *
 * Returns `undefined` if `n` is not a whole number of zero or more.
 */
export function parsePage(query: URLSearchParams): PageRequest | undefined {
  const n = query.get("n");
  const last = query.get("last") ?? "";
  if (n === null) return { limit: maxPageSize, last };
  if (!/^\d+$/.test(n)) return undefined;
  return { limit: Math.min(Number(n), maxPageSize), last };
}

/**
 * The `Link` header to the page after `last`: the same request with other `n` and `last`. The slashes of the
 * repository's name are not encoded.
 */
export function nextPageLink(url: URL, page: { limit: number; last: string }): string {
  const query = new URLSearchParams(url.search);
  query.set("n", String(page.limit));
  query.set("last", page.last);
  return `<${url.pathname.replace(/%2f/gi, "/")}?${query}>; rel="next"`;
}
