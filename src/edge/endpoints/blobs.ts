/** `/v2/<name>/blobs/<digest>`. distribution-spec: Pulling blobs; Deleting Blobs. */

import { parseDigest } from "../../oci/digest.ts";
import { failure } from "../../oci/errors.ts";
import { entityTag, isNoneMatchSatisfiedBy, isRangeApplicable, parseRange } from "../../oci/http.ts";
import { deleteBlob, findBlob, readBlob } from "../../registry/blobs.ts";
import { type Answer, eventOrigin, type RepositoryContext } from "../context.ts";
import { contentHeaders } from "../respond.ts";

/** Serves a blob or a range of it, straight from the bucket. HEAD ignores ranges: RFC 9110, section 14.2. */
export async function pullBlob({
  request,
  registry,
  repository,
  access,
  params,
}: RepositoryContext): Promise<Answer> {
  const digest = parseDigest(params.digest ?? "");
  if (digest === undefined) return { failure: failure("DIGEST_INVALID", { digest: params.digest }) };
  const isHead = request.method === "HEAD";
  const found = await findBlob(registry, repository, digest, isHead && access.may("push", repository));
  if (!found.ok) return { failure: found };
  const { location } = found;
  const size = location.sizeBytes;
  const headers = {
    ...contentHeaders(digest, "application/octet-stream", "immutable"),
    "Accept-Ranges": "bytes",
  };
  if (isNoneMatchSatisfiedBy(request.headers.get("If-None-Match"), entityTag(digest))) {
    return { status: 304, headers };
  }
  if (isHead) return { status: 200, headers, contentLength: size };
  const isRanged = isRangeApplicable(request.headers.get("If-Range"), entityTag(digest));
  const range = isRanged ? parseRange(request.headers.get("Range"), size) : "whole";
  if (range === "unsatisfiable") {
    return {
      failure: failure("RANGE_UNSATISFIABLE", { sizeBytes: size }),
      headers: { "Content-Range": `bytes */${size}` },
    };
  }
  const read = await readBlob(registry, repository, location, range === "whole" ? undefined : range);
  if (!read.ok) return { failure: read };
  if (range === "whole") return { status: 200, headers, body: read.body, contentLength: size };
  const contentRange = `bytes ${range.offset}-${range.offset + range.length - 1}/${size}`;
  return {
    status: 206,
    headers: { ...headers, "Content-Range": contentRange },
    body: read.body,
    contentLength: range.length,
  };
}

/** Unlinks a blob. */
export async function removeBlob(context: RepositoryContext): Promise<Answer> {
  const { registry, repository, params } = context;
  const digest = parseDigest(params.digest ?? "");
  if (digest === undefined) return { failure: failure("DIGEST_INVALID", { digest: params.digest }) };
  const deleted = await deleteBlob(registry, repository, digest, eventOrigin(context));
  if (deleted.ok) return { status: 202, headers: { "Docker-Content-Digest": digest } };
  return {
    failure: deleted,
    ...(deleted.error === "BLOB_REFERENCED" ? { headers: { Allow: "GET, HEAD" } } : {}),
  };
}
