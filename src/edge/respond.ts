/**
 * The one place that writes answers: replies, and errors from the catalogue.
 */
import { errorCatalogue } from "../oci/errors.ts";
import type { Answer, HeaderMap, Reply } from "./context.ts";

/**
 * On every answer. `no-transform`: a proxy that compressed an answer would take its `Content-Length`, which clients
 * rely on; the platform's edge is such a proxy.
 */
const commonHeaders: HeaderMap = {
  "Docker-Distribution-Api-Version": "registry/2.0",
  "X-Content-Type-Options": "nosniff",
};

/** Writes an answer to a request of this method, under this request id. */
export function respond(answer: Answer, method: string, requestId: string): Response {
  const reply = "failure" in answer ? errorReply(answer) : answer;
  const headers = new Headers({ ...commonHeaders, "X-Request-Id": requestId, ...reply.headers });
  const caching = headers.get("Cache-Control") ?? "no-store";
  headers.set("Cache-Control", `${caching}, no-transform`);
  const body = typeof reply.body === "string" ? new TextEncoder().encode(reply.body) : reply.body;
  const length = reply.contentLength ?? (body instanceof Uint8Array ? body.byteLength : 0);
  if (reply.status !== 204 && reply.status !== 304) headers.set("Content-Length", String(length));
  const sendsBody = method !== "HEAD" && body !== undefined;
  return new Response(sendsBody ? withLength(body, length) : null, { status: reply.status, headers });
}

/** The runtime sends a stream in chunks, without `Content-Length`, unless it knows its length. */
function withLength(body: ReadableStream | Uint8Array, length: number): ReadableStream | Uint8Array {
  return body instanceof Uint8Array ? body : body.pipeThrough(new FixedLengthStream(length));
}

/** distribution-spec: Error Codes. */
function errorReply({ failure, headers = {} }: Extract<Answer, { failure: unknown }>): Reply {
  const { code, status, message } = errorCatalogue[failure.error];
  const detail = failure.detail === undefined ? {} : { detail: failure.detail };
  const retry: HeaderMap = status === 503 || status === 429 ? { "Retry-After": "1" } : {};
  return {
    status,
    headers: { "Content-Type": "application/json", ...retry, ...headers },
    body: JSON.stringify({ errors: [{ code, message, ...detail }] }),
  };
}
