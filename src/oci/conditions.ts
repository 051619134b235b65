/**
 * Validators and conditional requests. Source: RFC 9110, sections 8.8.3 and 13.
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
