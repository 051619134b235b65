/** One request and its answer, and the error if there is none. */
import { withTimeout } from "../timeout.ts";
import { RegistryError } from "./errors.ts";

/** Sends requests: the runtime's `fetch`, or one that a caller prepared (see node.ts). */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** A request. `answerWithinMs`: the time limit for the answer's headers; its body may take any time. */
export type Exchange = {
  method: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string | undefined;
  signal?: AbortSignal | undefined;
  answerWithinMs?: number | undefined;
};

/**
 * Sends one request. Redirects are answers.
 *
 * @throws RegistryError of the kind `unreachable`; or the signal's reason, if that ended it
 */
export async function exchange(
  fetch: Fetch,
  url: URL,
  { method, headers, body, signal, answerWithinMs }: Exchange,
): Promise<Response> {
  signal?.throwIfAborted();
  const late = new AbortController();
  const timer =
    answerWithinMs === undefined
      ? undefined
      : setTimeout(
          () => late.abort(new DOMException(`no answer within ${answerWithinMs / 1000} s`, "TimeoutError")),
          answerWithinMs,
        );
  try {
    return await fetch(url, {
      method,
      headers: { ...headers },
      // Credentials are for the address that they were given for.
      redirect: "manual",
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    // The `fetch` that a caller prepared refuses the address.
    if (error instanceof RegistryError) throw error;
    throw new RegistryError("unreachable", `cannot reach ${url.origin}: ${reasonOf(error)}`, {}, error);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends an answer that nobody reads: it would keep its connection. */
export async function discard({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => {});
}

/** How long an answer that is read as a whole may stand still, and take in all. */
const silenceMs = 30_000;
const wholeMs = 5 * 60_000;

/**
 * Reads a whole answer of at most `maxBytes`.
 *
 * @throws RegistryError of the kind `foreign` when there are more, and `broken` when they break off or take too long
 */
export async function readWhole(response: Response, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of piecesOf(response.body, { silenceMs, wholeMs })) {
      length += piece.byteLength;
      if (length > maxBytes) break;
      pieces.push(piece);
    }
  } catch (error) {
    throw new RegistryError("broken", `the answer broke off: ${reasonOf(error)}`, {}, error);
  }
  if (length > maxBytes) throw new RegistryError("foreign", `the answer is larger than ${maxBytes} bytes`);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole;
}

/** How long the bytes of a blob may stand still: as long as for Node's `fetch`. Other runtimes wait for ever. */
const blobSilenceMs = 5 * 60_000;

/**
 * The pieces of a body, which may take any time as a whole, but not stand still. Who asks is not kept waiting: others may
 * wait for the same answer.
 *
 * @throws Error when the bytes break off, or do not come in time
 */
export async function* piecesOf(
  body: ReadableStream<Uint8Array> | null,
  { silenceMs = blobSilenceMs, wholeMs = Number.POSITIVE_INFINITY } = {},
): AsyncGenerator<Uint8Array, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  const deadline = performance.now() + wholeMs;
  try {
    for (;;) {
      const leftMs = deadline - performance.now();
      const reading = await withTimeout(reader.read(), Math.min(silenceMs, leftMs), undefined);
      if (reading === undefined)
        throw new Error(leftMs < silenceMs ? "it took too long" : `nothing came for ${silenceMs / 1000} s`);
      const { done, value } = reading;
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const brokenOff = "the connection was broken off";
const speaksHttp = "the server speaks http, not https: write its address with http://";
const untrusted = "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs";
const otherName = "its certificate is for another name";

const reasons: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "there is no such host, or no network",
  ECONNRESET: brokenOff,
  EPIPE: brokenOff,
  UND_ERR_SOCKET: brokenOff,
  ERR_SSL_WRONG_VERSION_NUMBER: speaksHttp,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: speaksHttp,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: otherName,
  CERT_HAS_EXPIRED: "its certificate has expired",
};

/** What a later try does not change. A server that is started again listens to nobody for a while. */
const lasting: ReadonlySet<string> = new Set([
  reasons.ENOTFOUND ?? "",
  reasons.CERT_HAS_EXPIRED ?? "",
  speaksHttp,
  untrusted,
  otherName,
]);

/** Why a connection came to nothing, in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const code = cause instanceof Error ? (cause as Error & { code?: string }).code : undefined;
  const known = reasons[code ?? (error as Error & { code?: string }).code ?? ""];
  if (known !== undefined) return known;
  // Deno has no codes, but sentences; this one is rustls' of an answer that is not TLS.
  const sentence = cause instanceof Error && cause.message ? cause.message : error.message;
  return sentence.includes("InvalidContentType") ? speaksHttp : sentence;
}

/** Whether a request that had no answer may have one if it is sent again. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof RegistryError) || error.kind !== "unreachable") return false;
  return !lasting.has(reasonOf(error.cause));
}

/** Whether the connection ended before an answer, as one does that was idle for too long. */
export function isBrokenOff(error: unknown): boolean {
  return (
    error instanceof RegistryError && error.kind === "unreachable" && reasonOf(error.cause) === brokenOff
  );
}
