/**
 * The one place that makes a `Response` of an answer: of a reply, or of an error from the catalogue.
 */

import { systemClock } from "../clock.ts";
import { filesHeader } from "../machine.ts";
import { errorCatalogue, type Failure } from "../oci/errors.ts";
import { commonHeaders, entityTag, nextPageLink, type PageRequest } from "../oci/http.ts";
import type { Digest } from "../oci/reference.ts";
import { writeFileRanges } from "../storage/disk-files.ts";
import type { Answer, HeaderMap, Refusal, Reply } from "./context.ts";
import { largeBytes, PieceSender } from "./piece-sender.ts";

/** The format of errors: that of distribution-spec, or problem details (RFC 9457). */
export type ErrorFormat = "oci" | "problem";

/** Whether an answer is an error. */
export function isRefusal(answer: Answer): answer is Refusal {
  return "error" in answer;
}

/** An answer in JSON. */
export function jsonReply(value: unknown, headers: HeaderMap = {}): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(value),
  };
}

/** The request that is answered. The response is not to end before the promises in `keepOpenUntil` have settled. */
export type Asked = {
  format: ErrorFormat;
  method: string;
  requestId: string;
  keepOpenUntil: Promise<unknown>[];
};

/**
 * A response with what the log needs of it. Reading that from a `Response` takes longer than making one. `staysOpen`: it
 * may be returned at once, as it ends late enough by itself.
 */
export type Sent = {
  response: Response;
  digest: string | undefined;
  bytesOut: number;
  staysOpen: boolean;
};

/** Of this isolate. */
const sender = new PieceSender(systemClock);

/** Makes the response for an answer. */
export function respond(answer: Answer, { format, method, requestId, keepOpenUntil }: Asked): Sent {
  const reply = isRefusal(answer) ? errorReply(answer, format, requestId) : answer;
  const { status } = reply;
  // A plain object, as each call to `Headers` takes as long as this whole function.
  const headers: HeaderMap = { ...commonHeaders, ...reply.headers };
  headers["X-Request-Id"] = requestId;
  // A proxy that compresses an answer, as the platform's edge does, removes the `Content-Length` that clients rely on.
  headers["Cache-Control"] = `${headers["Cache-Control"] ?? "no-store"}, no-transform`;
  const said = Array.isArray(reply.files) ? writeFileRanges(reply.files) : (reply.files ?? reply.body);
  const body = typeof said === "string" ? new TextEncoder().encode(said) : said;
  const length = reply.contentLength ?? (body instanceof Uint8Array ? body.byteLength : 0);
  // The list of files has a length of its own, or none.
  if (reply.files !== undefined) headers[filesHeader] = String(length);
  else if (status !== 204 && status !== 304) headers["Content-Length"] = String(length);
  const digest = headers["Docker-Content-Digest"];
  const isAwaited = keepOpenUntil.length > 0;
  if (method === "HEAD" || body === undefined) {
    reply.room?.release();
    const response = new Response(null, { status, headers });
    return { response, digest, bytesOut: 0, staysOpen: !isAwaited };
  }
  const isHeldOpen = isAwaited && body instanceof Uint8Array;
  const isLarge = body instanceof Uint8Array && body.byteLength > largeBytes;
  const sent = isHeldOpen || isLarge ? sender.send(body, keepOpenUntil, reply.room) : body;
  const init: ResponseInit =
    reply.isEncoded === true ? { status, headers, encodeBody: "manual" } : { status, headers };
  const staysOpen = isHeldOpen || !isAwaited;
  return { response: new Response(sent, init), digest, bytesOut: length, staysOpen };
}

function errorReply(refusal: Refusal, format: ErrorFormat, requestId: string): Reply {
  const { status } = errorCatalogue[refusal.error];
  const retry = retryHeader(refusal, status);
  const [contentType, body] =
    format === "oci"
      ? ["application/json", ociErrors(refusal)]
      : ["application/problem+json", problem(refusal, requestId)];
  return {
    status,
    headers: { "Content-Type": contentType, ...retry, ...refusal.headers },
    body: JSON.stringify(body),
  };
}

/** When to try again, if that may help. */
function retryHeader(refusal: Refusal, status: number): HeaderMap {
  if (refusal.error === "UPSTREAM_LIMITED" || refusal.error === "UPSTREAM_UNREACHABLE")
    return { "Retry-After": String(refusal.detail.retryAfterSeconds) };
  return status === 503 || status === 429 ? { "Retry-After": status === 429 ? "60" : "1" } : {};
}

/** distribution-spec: Error Codes. */
function ociErrors({ error, detail }: Failure): object {
  const { code, message } = errorCatalogue[error];
  // Clients show the message and nothing else.
  const said = textOf(detail);
  const isShort = said !== "" && said.length <= maxMessageDetailLength;
  return {
    errors: [
      {
        code,
        message: isShort ? `${message}: ${said}` : message,
        ...(detail === undefined ? {} : { detail }),
      },
    ],
  };
}

/** A longer detail is meant for programs and is left out of the message. In characters. */
const maxMessageDetailLength = 300;

/**
 * RFC 9457, section 3: `detail` is a text. The details are also members of their own, for programs; they never replace
 * a standard member.
 */
function problem({ error, detail }: Failure, requestId: string): object {
  const { status, message } = errorCatalogue[error];
  const members = typeof detail === "object" ? detail : {};
  const text = textOf(detail);
  return {
    ...members,
    type: "about:blank",
    title: message,
    status,
    code: error,
    ...(text === "" ? {} : { detail: text }),
    requestId,
  };
}

/** A detail for people: its text, or `name: value, …`. */
function textOf(detail: Failure["detail"]): string {
  if (typeof detail !== "object") return detail ?? "";
  return Object.entries(detail)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

const caching = {
  /**
   * Requested by digest: it never changes. Private, as other callers of a shared cache may not be allowed to see it.
   */
  immutable: "private, max-age=31536000, immutable",
  /** Requested by tag, which may move. */
  revalidate: "no-cache",
};

/** Types that a browser does not render. Others, such as HTML, could run scripts that somebody pushed. */
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

/** `Link` to the page after `last`, where there is `more`; no header for a page of no entries. */
export function linkHeader(url: URL, page: PageRequest, more: boolean, last: string | undefined): HeaderMap {
  if (!more || last === undefined) return {};
  return { Link: nextPageLink(url, { limit: page.limit, last }) };
}
