/**
 * What the registry must answer to a request about a repository, by the pure functions in oci/ and by what it holds.
 * What an answer acknowledges is done to the world.
 */

import {
  conditionOf,
  entityTag,
  isRangeApplicable,
  nextPageLink,
  type PageRequest,
  parseContentRange,
  parsePage,
  parseRange,
} from "../../src/oci/http.ts";
import { annotationsOf } from "../../src/oci/manifest.ts";
import { imageIndexType, mediaTypeOfHeader } from "../../src/oci/media-type.ts";
import {
  algorithmOf,
  type Digest,
  isDigestAlgorithm,
  isDigestOfNothing,
  parseAnyDigest,
  parseDigest,
  parseRepositoryName,
  parseTag,
} from "../../src/oci/reference.ts";
import { digestOf } from "../support/content.ts";
import { type Prediction, refuse, refuseMethod } from "./prediction.ts";
import {
  announcedLength,
  headerOf,
  headersOf,
  isForeign,
  type RepositoryRequest,
  type Resource,
  sentBody,
  targetOf,
} from "./request.ts";
import { toManifest, type World } from "./world.ts";

/** `target` is the request's as it was sent; its reference is then without escapes. */
type Handler = (world: World, request: RepositoryRequest, target: string) => Prediction;

const handlers: Record<Resource, Record<string, Handler>> = {
  manifest: { GET: getManifest, PUT: putManifest, DELETE: deleteManifest },
  blob: { GET: getBlob, DELETE: deleteBlob },
  uploads: { POST: openUpload },
  // Sessions that there are have a model of their own: session-model.ts.
  upload: { GET: unknownSession, PATCH: unknownSession, PUT: unknownSession, DELETE: unknownSession },
  tags: { GET: listTags },
  referrers: { GET: listReferrers },
};

/** Predicts the answer to a request, and does to the world what it says is done. */
export function predict(world: World, request: RepositoryRequest): Prediction {
  if (isForeign(request)) return refuse("SITE_FOREIGN");
  if (parseRepositoryName(request.name) === undefined) return refuse("NAME_INVALID");
  const methods = handlers[request.resource];
  const method = request.method === "HEAD" ? "GET" : request.method;
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (handler === undefined) return refuseMethod(Object.keys(methods));
  return handler(world, { ...request, reference: decoded(request.reference) }, targetOf(request));
}

function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
}

function unknownSession(): Prediction {
  return refuse("BLOB_UPLOAD_UNKNOWN");
}

// ── Blobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

function getBlob(world: World, request: RepositoryRequest): Prediction {
  const digest = parseDigest(request.reference);
  if (digest === undefined) return refuse("DIGEST_INVALID");
  const bytes = world.blob(request.name, digest);
  if (bytes === undefined) return refuse("BLOB_UNKNOWN");
  const headers = {
    "Docker-Content-Digest": digest,
    ETag: entityTag(digest),
    "Accept-Ranges": "bytes",
    "Content-Type": "application/octet-stream",
    "Content-Range": undefined,
  };
  const condition = conditionOf(headersOf(request), entityTag(digest));
  if (condition === "failed") return refuse("PRECONDITION_FAILED");
  if (condition === "not modified") return { status: 304, headers };
  const size = bytes.byteLength;
  const isRanged =
    request.method === "GET" && isRangeApplicable(headerOf(request, "if-range"), entityTag(digest));
  const range = isRanged ? parseRange(headerOf(request, "range"), size) : "whole";
  if (range === "whole") return { status: 200, headers, body: bytes };
  if (range === "unsatisfiable") return refuse("RANGE_UNSATISFIABLE", { "Content-Range": `bytes */${size}` });
  const [first] = range;
  const parts = range.map(({ offset, length }) => bytes.slice(offset, offset + length));
  if (parts.length > 1) {
    return { status: 206, headers: { ...headers, "Content-Type": /^multipart\/byteranges; / }, parts };
  }
  const contentRange = `bytes ${first.offset}-${first.offset + first.length - 1}/${size}`;
  return {
    status: 206,
    headers: { ...headers, "Content-Range": contentRange },
    body: bytes.slice(first.offset, first.offset + first.length),
  };
}

function deleteBlob(world: World, request: RepositoryRequest): Prediction {
  const { name, reference } = request;
  const digest = parseDigest(reference);
  if (digest === undefined) return refuse("DIGEST_INVALID");
  const repository = world.repositories.get(name);
  if (repository === undefined) return refuse("NAME_UNKNOWN");
  if (!repository.blobs.has(digest)) return refuse("BLOB_UNKNOWN");
  if (world.isReferenced(name, digest)) return refuse("BLOB_REFERENCED", { Allow: "GET, HEAD" });
  if (!isMet(request, digest)) return refuse("PRECONDITION_FAILED");
  repository.blobs.delete(digest);
  return { status: 202, headers: { "Docker-Content-Digest": digest } };
}

// ── Uploads ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a request says of its body: where it begins and how long it is; or what is wrong with that. */
export function readUploadBody(
  request: RepositoryRequest,
): { ok: true; offset: number | undefined; length: number | undefined } | { ok: false; refusal: Prediction } {
  const text = headerOf(request, "content-range");
  const range = text === null ? undefined : parseContentRange(text);
  if (text !== null && range === undefined) return { ok: false, refusal: refuse("BLOB_UPLOAD_INVALID") };
  const length = announcedLength(request);
  if (range !== undefined && length !== undefined && range.length !== length) {
    return { ok: false, refusal: refuse("SIZE_INVALID") };
  }
  return { ok: true, offset: range?.offset, length: length ?? range?.length };
}

/** What a stored blob is answered with. */
export function stored(name: string, digest: string): Prediction {
  return {
    status: 201,
    headers: { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest },
  };
}

function opened(name: string): Prediction {
  return {
    status: 202,
    headers: { Location: new RegExp(`^/v2/${name}/blobs/uploads/[^/?]+$`), Range: "0-0" },
  };
}

function openUpload(world: World, request: RepositoryRequest): Prediction {
  const query = new URLSearchParams(request.query);
  const mount = query.get("mount");
  if (mount !== null) return mountBlob(world, request.name, mount, query.get("from") ?? "");
  const digest = query.get("digest");
  if (digest !== null) return pushAtOnce(world, request, parseDigest(digest));
  return isDigestAlgorithm(query.get("digest-algorithm") ?? "sha256")
    ? opened(request.name)
    : refuse("DIGEST_INVALID");
}

function mountBlob(world: World, name: string, mount: string, from: string): Prediction {
  const digest = parseDigest(mount);
  if (digest === undefined) return refuse("DIGEST_INVALID");
  if (from !== "" && parseRepositoryName(from) === undefined) return refuse("NAME_INVALID");
  const sources = from === "" ? [...world.repositories.keys()] : [from];
  const source = sources.find((each) => world.blob(each, digest) !== undefined);
  if (source === undefined) return opened(name);
  world.addBlob(name, digest, world.blob(source, digest) ?? new Uint8Array());
  return stored(name, digest);
}

function pushAtOnce(world: World, request: RepositoryRequest, digest: Digest | undefined): Prediction {
  if (digest === undefined) return refuse("DIGEST_INVALID");
  const body = readUploadBody(request);
  if (!body.ok) return body.refusal;
  const bytes = sentBody(request);
  const isWhole =
    announcedLength(request) !== undefined && (bytes.byteLength > 0 || isDigestOfNothing(digest));
  if ((body.offset ?? 0) > 0) return refuse("BLOB_UPLOAD_RANGE");
  if (!isWhole && body.length !== undefined && body.length !== bytes.byteLength)
    return refuse("SIZE_INVALID");
  if (digestOf(bytes, algorithmOf(digest)) !== digest) return refuse("DIGEST_INVALID");
  world.addBlob(request.name, digest, bytes);
  return stored(request.name, digest);
}

// ── Manifests ──────────────────────────────────────────────────────────────────────────────────────────────────

type Reference = { digest: Digest } | { tag: string } | { refusal: Prediction };

function parseReference(text: string): Reference {
  if (!text.includes(":"))
    return parseTag(text) === undefined ? { refusal: refuse("TAG_INVALID") } : { tag: text };
  const digest = parseDigest(text);
  return digest === undefined ? { refusal: refuse("DIGEST_INVALID") } : { digest };
}

function getManifest(world: World, request: RepositoryRequest): Prediction {
  const reference = parseReference(request.reference);
  if ("refusal" in reference) return reference.refusal;
  const found = world.manifest(request.name, request.reference);
  if (found === undefined) return refuse("MANIFEST_UNKNOWN");
  const headers = {
    "Docker-Content-Digest": found.digest,
    ETag: entityTag(found.digest),
    "Content-Type": found.facts.mediaType,
    Warning: undefined,
  };
  const condition = conditionOf(headersOf(request), entityTag(found.digest));
  if (condition === "failed") return refuse("PRECONDITION_FAILED");
  return condition === "not modified"
    ? { status: 304, headers }
    : { status: 200, headers, body: found.bytes };
}

function putManifest(world: World, request: RepositoryRequest): Prediction {
  const reference = parseReference(request.reference);
  if ("refusal" in reference) return reference.refusal;
  const digest = "digest" in reference ? reference.digest : undefined;
  const named = request.query.filter(([name]) => name === "tag").map(([, value]) => value);
  const tags = "tag" in reference ? [reference.tag] : [...new Set(named)];
  if (tags.some((tag) => parseTag(tag) === undefined)) return refuse("TAG_INVALID");
  const bytes = sentBody(request);
  const computed = digestOf(bytes, digest === undefined ? "sha256" : algorithmOf(digest));
  if (digest !== undefined && digest !== computed) return refuse("DIGEST_INVALID");
  const manifest = toManifest(bytes, mediaTypeOfHeader(headerOf(request, "content-type")));
  if (manifest === undefined) return refuse("MANIFEST_INVALID");
  const current = world.manifest(request.name, digest ?? request.reference)?.digest;
  if (!isMet(request, current)) return refuse("PRECONDITION_FAILED");
  if (world.missing(request.name, manifest).length > 0) return refuse("MANIFEST_BLOB_UNKNOWN");
  world.addManifest(request.name, computed, manifest, tags);
  return {
    status: 201,
    headers: {
      Location: `/v2/${request.name}/manifests/${computed}`,
      "Docker-Content-Digest": computed,
      "OCI-Subject": manifest.facts.subject,
      "OCI-Tag": digest === undefined || tags.length === 0 ? undefined : tags.join(", "),
    },
  };
}

function deleteManifest(world: World, request: RepositoryRequest): Prediction {
  const reference = parseReference(request.reference);
  if ("refusal" in reference) return reference.refusal;
  const repository = world.repositories.get(request.name);
  if (repository === undefined) return refuse("NAME_UNKNOWN");
  const found = world.manifest(request.name, request.reference);
  if (found === undefined) return refuse("MANIFEST_UNKNOWN");
  if (!isMet(request, found.digest)) return refuse("PRECONDITION_FAILED");
  if ("tag" in reference) repository.tags.delete(reference.tag);
  else {
    repository.manifests.delete(found.digest);
    for (const [tag, digest] of repository.tags) if (digest === found.digest) repository.tags.delete(tag);
  }
  return { status: 202 };
}

/** Whether what is here, if anything, may be changed: RFC 9110, sections 13.1.1 and 13.1.2. */
function isMet(request: RepositoryRequest, current: string | undefined): boolean {
  if (current === undefined) return headerOf(request, "if-match") === null;
  return conditionOf(headersOf(request), entityTag(current)) === "send";
}

// ── Lists ──────────────────────────────────────────────────────────────────────────────────────────────────────

function listTags(world: World, request: RepositoryRequest, target: string): Prediction {
  const page = parsePage(new URLSearchParams(request.query));
  if (page === undefined) return refuse("PAGE_INVALID");
  const repository = world.repositories.get(request.name);
  if (repository === undefined) return refuse("NAME_UNKNOWN");
  const { entries, link } = cut([...repository.tags.keys()], (tag) => tag, page, target);
  return { status: 200, headers: { Link: link }, body: { name: request.name, tags: entries } };
}

function listReferrers(world: World, request: RepositoryRequest, target: string): Prediction {
  const subject = parseAnyDigest(request.reference);
  if (subject === undefined) return refuse("DIGEST_INVALID");
  const query = new URLSearchParams(request.query);
  const page = parsePage(query);
  if (page === undefined) return refuse("PAGE_INVALID");
  const wanted = query.get("artifactType") || undefined;
  const manifests = [...(world.repositories.get(request.name)?.manifests ?? [])];
  const referring = manifests
    .filter(([, { facts }]) => facts.subject === subject)
    .filter(([, { facts }]) => wanted === undefined || facts.artifactType === wanted)
    .map(([digest, { bytes, facts }]) => ({
      mediaType: facts.mediaType,
      digest,
      size: bytes.byteLength,
      ...(facts.artifactType === undefined ? {} : { artifactType: facts.artifactType }),
      ...(annotationsOf(bytes) === undefined ? {} : { annotations: annotationsOf(bytes) }),
    }));
  const { entries, link } = cut(referring, ({ digest }) => digest, page, target);
  return {
    status: 200,
    headers: {
      "Content-Type": imageIndexType,
      "OCI-Filters-Applied": wanted === undefined ? undefined : "artifactType",
      Link: link,
    },
    body: { schemaVersion: 2, mediaType: imageIndexType, manifests: entries },
  };
}

/** A page of a list, in ASCII order, and the link to the next one. */
function cut<T>(
  list: T[],
  keyOf: (entry: T) => string,
  { limit, last }: PageRequest,
  target: string,
): { entries: T[]; link: string | undefined } {
  const rest = list.filter((entry) => keyOf(entry) > last).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const entries = rest.slice(0, limit);
  const end = entries.at(-1);
  if (end === undefined || rest.length <= limit) return { entries, link: undefined };
  const url = new URL(target, "http://registry.example");
  return { entries, link: nextPageLink(url, { limit, last: keyOf(end) }) };
}
