/** `/v2/<name>/referrers/<digest>`. distribution-spec: Listing Referrers. */

import { failure } from "../../oci/errors.ts";
import { parsePage } from "../../oci/http.ts";
import { imageIndexType } from "../../oci/media-type.ts";
import { parseAnyDigest } from "../../oci/reference.ts";
import { listReferrers } from "../../registry/manifests.ts";
import type { Answer, HeaderMap, RepositoryContext } from "../context.ts";
import { jsonReply, linkHeader } from "../respond.ts";

/** Lists the manifests whose subject is a digest, as an image index. Never 404: a subject may come later. */
export async function referrers({ registry, repository, params, url }: RepositoryContext): Promise<Answer> {
  const subject = parseAnyDigest(params.digest ?? "");
  if (subject === undefined) return failure("DIGEST_INVALID", { digest: params.digest });
  const page = parsePage(url.searchParams);
  if (page === undefined) return failure("PAGE_INVALID", { n: url.searchParams.get("n") });
  const artifactType = url.searchParams.get("artifactType") || undefined;
  const { entries, more } = await listReferrers(registry, repository, subject, artifactType, page);
  const filters: HeaderMap = artifactType === undefined ? {} : { "OCI-Filters-Applied": "artifactType" };
  return jsonReply(
    { schemaVersion: 2, mediaType: imageIndexType, manifests: entries },
    { "Content-Type": imageIndexType, ...filters, ...linkHeader(url, page, more, entries.at(-1)?.digest) },
  );
}
