/** `/v2/<name>/blobs/<digest>`. distribution-spec: Pulling blobs; Deleting Blobs. */

import { filesHeader } from "../../machine.ts";
import { failure } from "../../oci/errors.ts";
import { type ByteRange, conditionOf, entityTag, isRangeApplicable, parseRange } from "../../oci/http.ts";
import { preconditionOf } from "../../oci/preconditions.ts";
import { type Digest, parseDigest, type RepositoryName } from "../../oci/reference.ts";
import { deleteBlob, findBlob, findBlobFiles, readBlob, readBlobRanges } from "../../registry/blobs.ts";
import type { Registry } from "../../registry/registry.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { type Answer, eventOrigin, type HeaderMap, type RepositoryContext } from "../context.ts";
import { contentHeaders, isRefusal } from "../respond.ts";
import { contentRange, multipartReply } from "./byte-ranges.ts";
import { pullFromUpstream } from "./upstream-blobs.ts";

/** The type that blobs are sent with. Their media type is in the descriptor. */
const blobType = "application/octet-stream";

/** Serves a blob or ranges of it, straight from the bucket. HEAD ignores ranges: RFC 9110, section 14.2. */
export async function pullBlob(context: RepositoryContext): Promise<Answer> {
  const { repository, access, params, cached } = context;
  const digest = parseDigest(params.digest ?? "");
  if (digest === undefined) return failure("DIGEST_INVALID", { digest: params.digest });
  const isPusher =
    cached === undefined && context.request.method === "HEAD" && access.may("push", repository);
  const headers = {
    ...contentHeaders(digest, blobType, "immutable"),
    "Accept-Ranges": "bytes",
  };
  const stored = await pullStored(context, digest, isPusher, headers);
  if (cached === undefined || !isRefusal(stored) || stored.error !== "BLOB_UNKNOWN") return stored;
  const answer = await pullFromUpstream(context, cached, digest, headers);
  if (answer === "linked") return pullStored(context, digest, false, headers);
  return "key" in answer ? serve(context, answer, headers) : answer;
}

/** Serves a blob that the repository has. Error: `BLOB_UNKNOWN`, also where it was collected since it was last pulled. */
async function pullStored(
  context: RepositoryContext,
  digest: Digest,
  mustBeCurrent: boolean,
  headers: HeaderMap,
): Promise<Answer> {
  const found = await findBlob(context.registry, context.repository, digest, mustBeCurrent);
  return found.ok ? serve(context, found.location, headers) : found;
}

/** Serves a blob that was found. */
async function serve(
  { request, registry, repository }: RepositoryContext,
  location: BlobLocation,
  headers: HeaderMap,
): Promise<Answer> {
  const { digest, sizeBytes: size } = location;
  const isHead = request.method === "HEAD";
  const condition = conditionOf(request.headers, entityTag(digest));
  if (condition === "failed") return failure("PRECONDITION_FAILED", { digest });
  if (condition === "not modified") return { status: 304, headers };
  if (isHead) return { status: 200, headers, contentLength: size };
  const isRanged = isRangeApplicable(request.headers.get("If-Range"), entityTag(digest));
  const range = isRanged ? parseRange(request.headers.get("Range"), size) : "whole";
  if (range === "unsatisfiable") {
    return {
      ...failure("RANGE_UNSATISFIABLE", { sizeBytes: size }),
      headers: { "Content-Range": `bytes */${size}` },
    };
  }
  if (range !== "whole" && range.length > 1)
    return pullRanges(registry, repository, location, range, headers);
  const [only] = range === "whole" ? [] : range;
  const inFiles = request.headers.has(filesHeader)
    ? await findBlobFiles(registry, repository, location, only)
    : undefined;
  const read = inFiles ?? (await readBlob(registry, repository, location, only));
  if (!read.ok) return read;
  const { ok: _, ...content } = read;
  if (only === undefined) return { status: 200, headers, ...content, contentLength: size };
  return {
    status: 206,
    headers: { ...headers, "Content-Range": contentRange(only, size) },
    ...content,
    contentLength: only.length,
  };
}

async function pullRanges(
  registry: Registry,
  repository: RepositoryName,
  location: BlobLocation,
  ranges: ByteRange[],
  headers: HeaderMap,
): Promise<Answer> {
  const read = await readBlobRanges(registry, repository, location, ranges);
  if (!read.ok) return read;
  const reply = multipartReply(ranges, read.pieces, location.sizeBytes, blobType);
  return { ...reply, headers: { ...headers, ...reply.headers } };
}

/** Unlinks a blob. */
export async function removeBlob(context: RepositoryContext): Promise<Answer> {
  const { request, registry, repository, params } = context;
  const digest = parseDigest(params.digest ?? "");
  if (digest === undefined) return failure("DIGEST_INVALID", { digest: params.digest });
  const precondition = preconditionOf(request.headers);
  const deleted = await deleteBlob(registry, repository, digest, eventOrigin(context), precondition);
  return deleted.ok ? { status: 202, headers: { "Docker-Content-Digest": digest } } : deleted;
}
