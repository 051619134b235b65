/** What is said of content that a digest names. */

import type { Digest } from "../../oci/digest.ts";
import { entityTag } from "../../oci/http.ts";
import type { HeaderMap } from "../context.ts";

const caching = {
  /** Asked for by digest: it will never be anything else. Private, as the next one may not be allowed to see it. */
  immutable: "private, max-age=31536000, immutable",
  /** Asked for by tag: it may move. */
  revalidate: "no-cache",
};

/** Types that a browser shows nothing of; of the others, such as HTML, it would run what was pushed. */
const inert = /^application\/(?:octet-stream|json|[\w.-]+\+json)$/;

/** Type, digest, validator and caching of content. */
export function contentHeaders(
  digest: Digest,
  contentType: string,
  lifetime: keyof typeof caching,
): HeaderMap {
  return {
    "Content-Type": contentType,
    "Docker-Content-Digest": digest,
    ETag: entityTag(digest),
    "Cache-Control": caching[lifetime],
    ...(inert.test(contentType) ? {} : { "Content-Security-Policy": "default-src 'none'; sandbox" }),
  };
}
