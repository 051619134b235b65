/** `/v2/<name>/manifests/<tag or digest>`. distribution-spec: Pulling, Pushing and Deleting Manifests. */
import { meter } from "../../metrics/meter.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { entityTag, isNoneMatchSatisfiedBy, parseContentLength } from "../../oci/http.ts";
import { maxManifestBytes } from "../../oci/manifest.ts";
import { mediaTypeOfHeader } from "../../oci/media-type.ts";
import { type Digest, parseDigest, parseTag, type Tag } from "../../oci/reference.ts";
import {
  deleteManifest,
  deleteTag,
  type ManifestContent,
  pushManifest,
  readManifestContent,
  resolveTag,
  statManifest,
} from "../../registry/manifests.ts";
import { bodyBudgetOf, readBody } from "../body.ts";
import { type Answer, eventOrigin, type HeaderMap, type RepositoryContext } from "../context.ts";
import { contentHeaders } from "../respond.ts";

type Reference = { tag: Tag; digest?: undefined } | { tag?: undefined; digest: Digest };

/** A reference is a digest if it has a colon, which no tag has. */
function parseReference(text = ""): Result<{ reference: Reference }> {
  if (text.includes(":")) {
    const digest = parseDigest(text);
    return digest === undefined
      ? failure("DIGEST_INVALID", { digest: text })
      : { ok: true, reference: { digest } };
  }
  const tag = parseTag(text);
  return tag === undefined ? failure("TAG_INVALID", { tag: text }) : { ok: true, reference: { tag } };
}

/** Serves a manifest. */
export async function pullManifest(context: RepositoryContext): Promise<Answer> {
  const { request, repository, access, params } = context;
  const parsed = parseReference(params.reference);
  if (!parsed.ok) return parsed;
  const { reference } = parsed;
  if (reference.digest === undefined) return pullTag(context, reference.tag, false);
  return serve(context, reference.digest, request.method === "HEAD" && access.may("push", repository));
}

/** Serves the manifest of a tag. `isRepeated`: the manifest that the tag resolved to the first time did not exist. */
async function pullTag(context: RepositoryContext, tag: Tag, isRepeated: boolean): Promise<Answer> {
  const { request, registry, repository, access, waitUntil } = context;
  const acceptStale = !access.may("push", repository);
  const resolved = await resolveTag(registry, repository, tag, { acceptStale, isRepeated, waitUntil });
  if (!resolved.ok) return resolved;
  const { digest, stat, isStale } = resolved;
  const headers: HeaderMap = {
    ...contentHeaders(digest, stat?.mediaType ?? "", "revalidate"),
    ...(isStale ? { Warning: '110 - "Response is Stale"' } : {}),
  };
  if (isNoneMatchSatisfiedBy(request.headers.get("If-None-Match"), entityTag(digest))) {
    noteUse(context, digest, tag);
    return { status: 304, headers };
  }
  if (request.method === "HEAD" && stat !== undefined) {
    noteUse(context, digest, tag);
    return { status: 200, headers, contentLength: stat.sizeBytes };
  }
  const content = await readManifestContent(registry, repository, digest);
  // The tag moved and its manifest was deleted after the tag was resolved or its row was replicated.
  if (!content.ok) return isRepeated ? failure("UNAVAILABLE") : pullTag(context, tag, true);
  noteUse(context, digest, tag);
  notePull(context, content, tag);
  return { status: 200, headers: { ...headers, "Content-Type": content.mediaType }, body: content.bytes };
}

/** Serves a manifest by digest. `mustBeCurrent`: a client that may push relies on the answer. */
async function serve(context: RepositoryContext, digest: Digest, mustBeCurrent: boolean): Promise<Answer> {
  const { request, registry, repository } = context;
  const found = mustBeCurrent
    ? await statManifest(registry, repository, digest)
    : await readManifestContent(registry, repository, digest);
  if (!found.ok) return found;
  const headers = contentHeaders(digest, found.mediaType, "immutable");
  noteUse(context, digest, undefined);
  if (isNoneMatchSatisfiedBy(request.headers.get("If-None-Match"), entityTag(digest))) {
    return { status: 304, headers };
  }
  if (!("bytes" in found)) return { status: 200, headers, contentLength: found.sizeBytes };
  notePull(context, found, undefined);
  return { status: 200, headers, body: found.bytes };
}

/**
 * Notes that a manifest is used. A HEAD by a caller who may push is no use: a push begins with it. In an open registry
 * everybody may push, so there each HEAD counts.
 */
function noteUse(context: RepositoryContext, digest: Digest, tag: Tag | undefined): void {
  const { request, registry, repository, access, waitUntil } = context;
  const isByPusher = access.credential !== "open" && access.may("push", repository);
  if (request.method === "HEAD" && isByPusher) return;
  registry.uses.note(repository, tag === undefined ? { digest } : { digest, tag }, waitUntil);
}

/** Counts a pull by tag or by digest, and sends its event if a webhook listens. */
function notePull(
  context: RepositoryContext,
  { digest, mediaType, bytes }: ManifestContent,
  tag: Tag | undefined,
): void {
  const { request, registry, repository, waitUntil } = context;
  if (request.method === "HEAD") return;
  meter.addPull(repository, tag ?? "");
  if (!registry.pullEvents.isDue(repository, digest)) return;
  const described = { digest, mediaType, sizeBytes: bytes.byteLength };
  const target = tag === undefined ? described : { ...described, tag };
  waitUntil(registry.pullEvents.tell({ repository, target, origin: eventOrigin(context) }));
}

/** Stores a manifest under a tag, or under its digest and the tags of the query. */
export async function putManifest(context: RepositoryContext): Promise<Answer> {
  const { request, registry, params, url } = context;
  const parsed = parseReference(params.reference);
  if (!parsed.ok) return parsed;
  const { digest, tag } = parsed.reference;
  const tags = tag === undefined ? parseTags(url.searchParams.getAll("tag")) : [tag];
  if (tags === undefined) return failure("TAG_INVALID", { tags: url.searchParams.getAll("tag") });
  const length = parseContentLength(request.headers.get("Content-Length"));
  if (length !== undefined && length > maxManifestBytes) return failure("MANIFEST_TOO_LARGE");
  const release = await bodyBudgetOf(registry).reserve(length ?? maxManifestBytes);
  if (release === undefined) return failure("UNAVAILABLE");
  try {
    return await readAndStoreManifest(context, digest, tags, length);
  } finally {
    release();
  }
}

async function readAndStoreManifest(
  context: RepositoryContext,
  digest: Digest | undefined,
  tags: Tag[],
  length: number | undefined,
): Promise<Answer> {
  const { request, registry, repository } = context;
  const body = await readBody(request.body, length, maxManifestBytes);
  if (!body.ok) return body.reason === "too large" ? failure("MANIFEST_TOO_LARGE") : failure("SIZE_INVALID");
  context.reportBodySize(body.bytes.byteLength);
  const pushed = await pushManifest(registry, {
    repository,
    digest,
    tags,
    bytes: body.bytes,
    contentType: mediaTypeOfHeader(request.headers.get("Content-Type")),
    origin: eventOrigin(context),
  });
  if (!pushed.ok) return pushed;
  return {
    status: 201,
    headers: {
      Location: `/v2/${repository}/manifests/${pushed.digest}`,
      "Docker-Content-Digest": pushed.digest,
      ...(pushed.subject === undefined ? {} : { "OCI-Subject": pushed.subject }),
      ...(digest === undefined || tags.length === 0 ? {} : { "OCI-Tag": tags.join(", ") }),
    },
  };
}

function parseTags(texts: string[]): Tag[] | undefined {
  const tags = texts.map(parseTag);
  return tags.every((tag) => tag !== undefined) ? [...new Set(tags)] : undefined;
}

/** Deletes a tag alone, or a manifest with its tags. */
export async function removeManifest(context: RepositoryContext): Promise<Answer> {
  const { registry, repository, params } = context;
  const parsed = parseReference(params.reference);
  if (!parsed.ok) return parsed;
  const { digest, tag } = parsed.reference;
  const origin = eventOrigin(context);
  const deleted =
    tag === undefined
      ? await deleteManifest(registry, repository, digest, origin)
      : await deleteTag(registry, repository, tag, origin);
  return deleted.ok ? { status: 202 } : deleted;
}
