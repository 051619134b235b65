/** `/v2/<name>/blobs/uploads/`. distribution-spec: Pushing blobs; Mounting a blob; Cancel a blob upload. */

import { type Failure, failure, type Result } from "../../oci/errors.ts";
import { patternsFor } from "../../oci/grant.ts";
import { parseContentLength, parseContentRange, uploadRange } from "../../oci/http.ts";
import {
  algorithmOf,
  type Digest,
  isDigestAlgorithm,
  parseDigest,
  parseRepositoryName,
} from "../../oci/reference.ts";
import { canonicalName } from "../../oci/upstream.ts";
import { checkName } from "../../registry/policies.ts";
import { type NamedSession, newSession, readSession, signSession } from "../../registry/sessions.ts";
import {
  cancelUpload,
  closeUpload,
  mountBlob,
  pushChunk,
  type UploadBody,
  uploadStatus,
} from "../../registry/uploads.ts";
import { mayPullFrom } from "../auth/authorise.ts";
import { type Answer, eventOrigin, type HeaderMap, type RepositoryContext } from "../context.ts";

/** Opens a session, mounts a blob, or stores a whole blob at once. */
export async function openUpload(context: RepositoryContext): Promise<Answer> {
  const named = await checkName(context.registry, context.repository);
  if (!named.ok) return named;
  const query = context.url.searchParams;
  const mount = query.get("mount");
  if (mount !== null) return mountOrOpen(context, mount, query.get("from"));
  const digestText = query.get("digest");
  if (digestText !== null) return pushAtOnce(context, digestText);
  const algorithm = query.get("digest-algorithm") ?? "sha256";
  if (!isDigestAlgorithm(algorithm)) return failure("DIGEST_INVALID", { algorithm });
  return opened(context, newSession(context.repository, algorithm));
}

async function mountOrOpen(
  context: RepositoryContext,
  mount: string,
  fromText: string | null,
): Promise<Answer> {
  const { registry, repository } = context;
  const digest = parseDigest(mount);
  if (digest === undefined) return failure("DIGEST_INVALID", { digest: mount });
  const named = fromText ? parseRepositoryName(fromText) : undefined;
  if (fromText && named === undefined) return failure("NAME_INVALID", { from: fromText });
  const from = named && canonicalName(registry.settings.upstreams, named);
  const source =
    from === undefined
      ? { patternSets: context.access.grantSets.map((grants) => patternsFor("pull", grants)) }
      : { from };
  const isMounted =
    (from === undefined || (await mayPullFrom(context, from))) &&
    (await mountBlob(registry, repository, digest, source, eventOrigin(context)));
  return isMounted ? stored(context, digest) : opened(context, newSession(repository, algorithmOf(digest)));
}

async function pushAtOnce(context: RepositoryContext, digestText: string): Promise<Answer> {
  const { registry, repository } = context;
  const digest = parseDigest(digestText);
  if (digest === undefined) return failure("DIGEST_INVALID", { digest: digestText });
  const body = readUploadBody(context.request);
  if (!body.ok) return body;
  const closed = await closeUpload(
    registry,
    newSession(repository, algorithmOf(digest)),
    body.body,
    digest,
    eventOrigin(context),
    context,
  );
  return closed.ok ? stored(context, digest) : closed;
}

/** Stores a chunk, of known length or not. */
export async function patchUpload(context: RepositoryContext): Promise<Answer> {
  const { registry, request } = context;
  const session = await sessionOf(context);
  if (session === undefined) return unknownSession;
  const body = readUploadBody(request);
  if (!body.ok) return body;
  const pushed = await pushChunk(registry, session, body.body, eventOrigin(context), context);
  if (!pushed.ok) return refused(context, session, pushed);
  return {
    status: 202,
    headers: await sessionHeaders(context, { ...session, started: true }, pushed.offset),
  };
}

/** Closes a session, with or without more bytes. */
export async function putUpload(context: RepositoryContext): Promise<Answer> {
  const { registry, request, url } = context;
  const session = await sessionOf(context);
  if (session === undefined) return unknownSession;
  const digestText = url.searchParams.get("digest");
  const digest = parseDigest(digestText ?? "");
  if (digest === undefined) return failure("DIGEST_INVALID", { digest: digestText });
  const body = readUploadBody(request);
  if (!body.ok) return body;
  const origin = eventOrigin(context);
  const closed = await closeUpload(registry, session, body.body, digest, origin, context);
  return closed.ok ? stored(context, digest) : refused(context, session, closed);
}

/** Returns how many bytes of an upload were received. */
export async function getUpload(context: RepositoryContext): Promise<Answer> {
  const session = await sessionOf(context);
  if (session === undefined) return unknownSession;
  const status = await uploadStatus(context.registry, session);
  if (!status.ok) return status;
  const started = session.started || status.offset > 0;
  return { status: 204, headers: await sessionHeaders(context, { ...session, started }, status.offset) };
}

/** Cancels an upload. */
export async function cancel(context: RepositoryContext): Promise<Answer> {
  const session = await sessionOf(context);
  if (session === undefined) return unknownSession;
  const cancelled = await cancelUpload(context.registry, session);
  return cancelled.ok ? { status: 204 } : cancelled;
}

const unknownSession: Answer = failure("BLOB_UPLOAD_UNKNOWN");

function sessionOf({
  registry,
  repository,
  access,
  params,
}: RepositoryContext): Promise<NamedSession | undefined> {
  return readSession(registry, params.session ?? "", repository, access.account);
}

async function opened(context: RepositoryContext, session: NamedSession): Promise<Answer> {
  return { status: 202, headers: await sessionHeaders(context, session, 0) };
}

/** distribution-spec asks for `Location` and `Range`; `Docker-Upload-UUID` is what older clients log. */
async function sessionHeaders(
  { registry, repository, access }: RepositoryContext,
  session: NamedSession,
  offset: number,
): Promise<HeaderMap> {
  const id = await signSession(registry, session, access.account);
  return {
    Location: `/v2/${repository}/blobs/uploads/${id}`,
    Range: uploadRange(offset),
    "Docker-Upload-UUID": session.id,
  };
}

function stored({ repository }: RepositoryContext, digest: Digest): Answer {
  const headers = { Location: `/v2/${repository}/blobs/${digest}`, "Docker-Content-Digest": digest };
  return { status: 201, headers };
}

/** The answer to a refused chunk has the offset of the upload, so that the client can continue. */
async function refused(context: RepositoryContext, session: NamedSession, refusal: Failure): Promise<Answer> {
  if (refusal.error !== "BLOB_UPLOAD_RANGE") return refusal;
  const { offset } = refusal.detail;
  const started = session.started || offset > 0;
  return { ...refusal, headers: await sessionHeaders(context, { ...session, started }, offset) };
}

/**
 * The body, with its length and offset from the headers. Errors: `BLOB_UPLOAD_INVALID`; `SIZE_INVALID` if they
 * disagree.
 */
function readUploadBody(request: Request): Result<{ body: UploadBody }> {
  const length = parseContentLength(request.headers.get("Content-Length"));
  const rangeText = request.headers.get("Content-Range");
  const range = rangeText === null ? undefined : parseContentRange(rangeText);
  if (rangeText !== null && range === undefined) {
    return failure("BLOB_UPLOAD_INVALID", { contentRange: rangeText, expected: "<first byte>-<last byte>" });
  }
  if (range !== undefined && length !== undefined && range.length !== length) {
    return failure("SIZE_INVALID", { contentRange: rangeText, contentLength: length });
  }
  const body = {
    stream: request.body,
    length: length ?? range?.length,
    isLengthSure: length !== undefined,
    offset: range?.offset,
  };
  return { ok: true, body };
}
