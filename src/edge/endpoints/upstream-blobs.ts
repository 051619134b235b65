/** Serves a blob that is not here from the upstream of its repository. */
import { filesHeader } from "../../machine.ts";
import { entityTag, isRangeApplicable } from "../../oci/http.ts";
import type { Digest } from "../../oci/reference.ts";
import type { Cached } from "../../oci/upstream.ts";
import { openUpstreamBlob, statUpstreamBlob } from "../../registry/upstreams/blobs.ts";
import type { CachedPull } from "../../registry/upstreams/manifests.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { mayAskUpstream } from "../auth/authorise.ts";
import { type Answer, eventOrigin, type HeaderMap, type RepositoryContext } from "../context.ts";
import { contentRange } from "./byte-ranges.ts";

/** A pull of a request through the cache. */
export function cachedPull(context: RepositoryContext, cached: Cached): CachedPull {
  const { repository } = context;
  return { repository, cached, origin: eventOrigin(context), mayAsk: () => mayAskUpstream(context) };
}

/**
 * Serves a blob that the ledger does not have. `linked`: the ledger has it now; a location: it has it there.
 *
 * @param headers of an answer that is not an error
 */
export async function pullFromUpstream(
  context: RepositoryContext,
  cached: Cached,
  digest: Digest,
  headers: HeaderMap,
): Promise<Answer | BlobLocation | "linked"> {
  const { request, registry } = context;
  const pull = cachedPull(context, cached);
  if (request.method === "HEAD") {
    const stat = await statUpstreamBlob(registry, pull, digest);
    return stat.ok ? { status: 200, headers, contentLength: stat.sizeBytes } : stat;
  }
  const isRanged = isRangeApplicable(request.headers.get("If-Range"), entityTag(digest));
  const range = isRanged ? (request.headers.get("Range") ?? undefined) : undefined;
  const takesFiles = request.headers.has(filesHeader);
  const opened = await openUpstreamBlob(registry, pull, digest, { range, takesFiles });
  if (!opened.ok) return opened;
  const { blob } = opened;
  if (blob === "linked" || "key" in blob) return blob;
  if (blob.how === "partial") {
    const { length } = blob.range;
    const body = blob.body.pipeThrough(new FixedLengthStream(length));
    const partial = { ...headers, "Content-Range": contentRange(blob.range, blob.sizeBytes) };
    return { status: 206, headers: partial, body, contentLength: length };
  }
  const { sizeBytes, body } = blob;
  if (blob.how === "files") return { status: 200, headers, files: body, contentLength: sizeBytes };
  // On one machine the length survives the answer of the object, and another stream would take a third of the work.
  const isOneMachine = registry.space !== undefined;
  const sent = isOneMachine ? body : body.pipeThrough(new FixedLengthStream(sizeBytes));
  return { status: 200, headers, body: sent, contentLength: sizeBytes };
}
