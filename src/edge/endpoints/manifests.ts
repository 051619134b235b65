/** `/v2/<name>/manifests/<tag or digest>`. distribution-spec: Pulling, Pushing and Deleting Manifests. */
import { meter } from "../../metrics/meter.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { conditionOf, entityTag, parseContentLength } from "../../oci/http.ts";
import { maxManifestBytes } from "../../oci/manifest.ts";
import { mediaTypeOfHeader } from "../../oci/media-type.ts";
import { preconditionOf } from "../../oci/preconditions.ts";
import { type Digest, parseDigest, parseTag, type Tag } from "../../oci/reference.ts";
import type { Cached } from "../../oci/upstream.ts";
import {
  deleteManifest,
  deleteTag,
  type ManifestContent,
  pushManifest,
  readManifestContent,
  resolveTag,
  statManifest,
  type TagAnswer,
} from "../../registry/manifests.ts";
import { fetchManifest, resolveCachedTag } from "../../registry/upstreams/manifests.ts";
import type { ManifestStat } from "../../rpc/api.ts";
import { bodyBudgetsOf, holderOf, readBody } from "../body.ts";
import { type Answer, eventOrigin, type HeaderMap, type RepositoryContext } from "../context.ts";
import type { ReservedRoom } from "../memory-budget.ts";
import { contentHeaders, isRefusal } from "../respond.ts";
import { cachedPull } from "./upstream-blobs.ts";

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
  const { request, repository, access, params, cached } = context;
  const parsed = parseReference(params.reference);
  if (!parsed.ok) return parsed;
  const { tag, digest } = parsed.reference;
  if (cached !== undefined) return pullCachedManifest(context, cached, parsed.reference);
  if (digest === undefined) return pullTag(context, tag, false);
  return serve(context, digest, request.method === "HEAD" && access.may("push", repository));
}

/** Serves a manifest of a cached repository. One that was pushed before its name was an upstream's is served as any other. */
async function pullCachedManifest(
  context: RepositoryContext,
  cached: Cached,
  { tag, digest }: Reference,
): Promise<Answer> {
  const { registry, waitUntil } = context;
  const pull = cachedPull(context, cached);
  if (tag !== undefined) {
    const resolved = await resolveCachedTag(registry, pull, tag, waitUntil);
    if (!resolved.ok) return resolved;
    return resolved.answer === "ordinary"
      ? pullTag(context, tag, false)
      : serveTag(context, tag, resolved.answer);
  }
  const here = await serve(context, digest, false);
  if (!isRefusal(here) || here.error !== "MANIFEST_UNKNOWN") return here;
  const fetched = await fetchManifest(registry, pull, digest);
  if (!fetched.ok) return fetched;
  return fetched.content === undefined
    ? serve(context, digest, false)
    : serveContent(context, fetched.content);
}

/** Serves the manifest of a tag. `isRepeated`: the manifest that the tag resolved to the first time did not exist. */
async function pullTag(context: RepositoryContext, tag: Tag, isRepeated: boolean): Promise<Answer> {
  const { registry, repository, access, waitUntil } = context;
  const acceptStale = !access.may("push", repository);
  const resolved = await resolveTag(registry, repository, tag, { acceptStale, isRepeated, waitUntil });
  if (!resolved.ok) return resolved;
  const answer = await serveTag(context, tag, resolved);
  // The tag moved and its manifest was deleted after the tag was resolved or its row was replicated.
  if (!isRefusal(answer) || answer.error !== "MANIFEST_UNKNOWN") return answer;
  return isRepeated ? failure("UNAVAILABLE") : pullTag(context, tag, true);
}

/** Serves the manifest that a tag points at. `content`: the manifest, if it is at hand. */
async function serveTag(
  context: RepositoryContext,
  tag: Tag,
  { digest, stat, isStale, content: known }: TagAnswer & { content?: ManifestContent },
): Promise<Answer> {
  const { request, registry, repository } = context;
  const headers: HeaderMap = {
    ...contentHeaders(digest, stat?.mediaType ?? "", "revalidate"),
    ...(isStale ? { Warning: '110 - "Response is Stale"' } : {}),
  };
  const condition = conditionOf(request.headers, entityTag(digest));
  if (condition === "failed") return failure("PRECONDITION_FAILED", { digest });
  if (condition === "not modified") {
    noteUse(context, digest, tag);
    return { status: 304, headers };
  }
  if (request.method === "HEAD" && stat !== undefined) {
    noteUse(context, digest, tag);
    return { status: 200, headers, contentLength: stat.sizeBytes };
  }
  const content =
    known === undefined
      ? await readManifestContent(registry, repository, digest)
      : ({ ok: true, ...known } as const);
  if (!content.ok) return content;
  noteUse(context, digest, tag);
  notePull(context, content, tag);
  return { status: 200, headers: { ...headers, "Content-Type": content.mediaType }, body: content.bytes };
}

/** Serves a manifest by digest. `mustBeCurrent`: a client that may push relies on the answer. */
async function serve(context: RepositoryContext, digest: Digest, mustBeCurrent: boolean): Promise<Answer> {
  const { registry, repository } = context;
  const found = mustBeCurrent
    ? await statManifest(registry, repository, digest)
    : await readManifestContent(registry, repository, digest);
  return found.ok ? serveContent(context, found) : found;
}

/** Serves a manifest that was found by its digest. */
function serveContent(context: RepositoryContext, found: ManifestContent | ManifestStat): Answer {
  const { digest, mediaType } = found;
  const condition = conditionOf(context.request.headers, entityTag(digest));
  if (condition === "failed") return failure("PRECONDITION_FAILED", { digest });
  const headers = contentHeaders(digest, mediaType, "immutable");
  noteUse(context, digest, undefined);
  if (condition === "not modified") return { status: 304, headers };
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
  const { manifests } = bodyBudgetsOf(registry);
  const room = await manifests.reserve(length ?? maxManifestBytes, holderOf(context));
  if (room === undefined) return failure("UNAVAILABLE");
  try {
    return await readAndStoreManifest(context, digest, tags, length, room);
  } finally {
    room.release();
  }
}

/** The errors of manifests that could not be read. */
const whyUnread = {
  "too large": "MANIFEST_TOO_LARGE",
  "broken off": "SIZE_INVALID",
  "too slow": "UNAVAILABLE",
} as const;

async function readAndStoreManifest(
  context: RepositoryContext,
  digest: Digest | undefined,
  tags: Tag[],
  length: number | undefined,
  room: ReservedRoom,
): Promise<Answer> {
  const { request, registry, repository } = context;
  const body = await readBody(request.body, length, maxManifestBytes, room);
  if (!body.ok) return failure(whyUnread[body.reason]);
  context.reportBodySize(body.bytes.byteLength);
  const precondition = preconditionOf(request.headers);
  const pushed = await pushManifest(registry, {
    repository,
    digest,
    tags,
    ...(precondition && {
      precondition: { ...precondition, tag: digest === undefined ? tags[0] : undefined },
    }),
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
  const { request, registry, repository, params } = context;
  const parsed = parseReference(params.reference);
  if (!parsed.ok) return parsed;
  const { digest, tag } = parsed.reference;
  const origin = eventOrigin(context);
  const precondition = preconditionOf(request.headers);
  const deleted =
    tag === undefined
      ? await deleteManifest(registry, repository, digest, origin, precondition)
      : await deleteTag(registry, repository, tag, origin, precondition);
  return deleted.ok ? { status: 202 } : deleted;
}
