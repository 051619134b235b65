/**
 * Answers requests: routes them, and does what all have in common. Each request leaves a line in the log (JSON for
 * machines, text for a terminal), counts in the isolate's meter, and a data point if Analytics Engine is bound.
 */
import type { Env } from "../bindings.ts";
import { cut, isLogged, log, writeLine } from "../log.ts";
import { secretHeader } from "../machine.ts";
import { meter, reportEveryMs } from "../metrics/meter.ts";
import { failure } from "../oci/errors.ts";
import { parseContentLength } from "../oci/http.ts";
import { tellStorage } from "../registry/monitoring.ts";
import { type Registry, registryOf } from "../registry/registry.ts";
import type { WaitUntil } from "../registry/shared-calls.ts";
import { tellReserved } from "../registry/upstreams/reserved.ts";
import { HasLaterData, Unreachable } from "../rpc/stubs.ts";
import { SettingError } from "../settings/settings.ts";
import { BucketFailed } from "../storage/bucket.ts";
import { ReplicaFailed } from "../storage/replica.ts";
import { drain } from "../storage/streams.ts";
import type { Answer } from "./context.ts";
import { dispatch, findRoute, isProbe, unrouted } from "./dispatch.ts";
import { type Asked, isRefusal, respond, type Sent } from "./respond.ts";

/** The Worker as the runtime calls it. */
export const worker = {
  fetch: (request, env, context) => handle(request, env, (promise) => context.waitUntil(promise)),
} satisfies ExportedHandler<Env>;

/** Answers a request. Never throws: an error becomes an answer and a line in the log. */
export async function handle(request: Request, env: Env, waitUntil: WaitUntil): Promise<Response> {
  // A program that reached the Worker without passing the local server could claim any address.
  if (env.CHANNEL_SECRET && request.headers.get(secretHeader) !== env.CHANNEL_SECRET) {
    return new Response(null, { status: 403 });
  }
  const startedAt = performance.now();
  const requestId = crypto.randomUUID();
  const { method } = request;
  // The client chooses the host, which may be malformed.
  const url = URL.parse(request.url);
  const { route, params } = url === null ? unrouted : findRoute(url.pathname, method);
  const keepOpenUntil: Promise<unknown>[] = [];
  let account: string | undefined;
  let bytesIn: number | undefined;
  let answer: Answer;
  let registry: Registry | undefined;
  try {
    registry = registryOf(env);
    const address = addressOf(registry, request);
    const known = { request, params, registry, address, requestId, waitUntil };
    const reportBodySize = (sizeBytes: number) => {
      bytesIn = sizeBytes;
    };
    answer =
      url === null
        ? failure("REQUEST_INVALID", "the Host header is malformed")
        : await dispatch(
            { ...known, url, keepOpenUntil: (promise) => keepOpenUntil.push(promise), reportBodySize },
            route,
            (access) => {
              account = access.account;
            },
          );
  } catch (error) {
    answer = answerError(error, requestId);
  }
  // workerd polls its sockets only when its event loop is idle. With sixteen busy clients on one machine it never is,
  // so other connections waited for seconds and were closed as idle. Waiting here lets workerd poll. Its clock advances
  // only after I/O: a request that was answered from memory took no time, does not starve others, and need not wait.
  if (performance.now() > startedAt) await scheduler.wait(0);
  const announcedLength = parseContentLength(request.headers.get("Content-Length"));
  const isApi = url?.pathname.startsWith("/api/") === true;
  const failed = isRefusal(answer) ? answer : undefined;
  // When an answer ends, the runtime stops reading the request and resets the connection of a client that is still
  // sending. Such a client might never see its answer: why it was refused, or what it got for a body that nobody wants.
  const hasBody = request.body !== null && !request.body.locked && announcedLength !== 0;
  if (hasBody && (failed !== undefined || !request.bodyUsed)) keepOpenUntil.push(drain(request.body));
  const format = isApi ? "problem" : "oci";
  const { response, digest, bytesOut, staysOpen } = send(answer, {
    format,
    method,
    requestId,
    keepOpenUntil,
  });
  const record: RequestRecord = {
    requestId,
    method,
    route: route?.name ?? "none",
    params,
    path: route === undefined ? url?.pathname : undefined,
    account,
    status: response.status,
    error: failed?.error,
    reference: params.reference ?? params.digest ?? digest,
    bytesIn: bytesIn ?? announcedLength ?? 0,
    bytesOut,
    milliseconds: performance.now() - startedAt,
  };
  const logsProbes = registry?.settings.logsProbes ?? true;
  if (logsProbes || response.status >= 400 || !isProbe(route)) logRequest(record);
  countRequest(env, record);
  if (registry !== undefined) {
    if (meter.isReportDue(registry.clock.now(), reportEveryMs))
      waitUntil(registry.reportCounts(reportEveryMs));
    if (registry.space !== undefined) tellStorage(registry, waitUntil);
    tellReserved(registry, waitUntil);
  }
  if (!staysOpen) await Promise.allSettled(keepOpenUntil);
  return response;
}

/** Makes the response, or an error response if the answer cannot be written. */
function send(answer: Answer, asked: Asked): Sent {
  try {
    return respond(answer, asked);
  } catch (error) {
    return respond(answerError(error, asked.requestId), asked);
  }
}

/** The client's address, from the header that the proxy in front or the platform's edge sets. */
function addressOf({ settings }: Registry, request: Request): string {
  const header = settings.addressHeader === "" ? null : request.headers.get(settings.addressHeader);
  return header?.split(",").at(-1)?.trim().slice(0, 64) || "unknown";
}

/** Errors that pass, and that neither the client nor the registry caused. */
const transientErrors = [Unreachable, BucketFailed, ReplicaFailed];

function answerError(error: unknown, requestId: string): Answer {
  const facts = { requestId, error: String(error) };
  if (transientErrors.some((kind) => error instanceof kind)) {
    log("warn", "request failed", facts);
    return failure(error instanceof HasLaterData ? "LATER_DATA" : "UNAVAILABLE");
  }
  if (error instanceof SettingError) {
    log("error", "request failed", facts);
    return failure("UNKNOWN", `the variable ${error.variable} has a wrong value`);
  }
  const stack = error instanceof Error ? error.stack : undefined;
  log("error", "request failed", { ...facts, stack });
  return failure("UNKNOWN", { requestId });
}

/** What the log and the metrics record of a request. */
export type RequestRecord = {
  requestId: string;
  method: string;
  route: string;
  params: Record<string, string>;
  /** The path if no route matched; otherwise `route` and `params` describe it. */
  path: string | undefined;
  account: string | undefined;
  status: number;
  error: string | undefined;
  /** The digest or tag that the request is about, as far as it is known. */
  reference: string | undefined;
  /** The lengths of the bodies. `bytesIn` is what was received if that was counted, otherwise the `Content-Length`. */
  bytesIn: number;
  bytesOut: number;
  milliseconds: number;
};

/** Log at most this much of a client-supplied name, in characters; longer than any valid name. */
const maxLoggedNameLength = 300;

/** Writes the log line of a request. */
export function logRequest(record: RequestRecord): void {
  if (!isLogged("info")) return;
  const fields = {
    method: record.method,
    route: record.route,
    path: record.path && cut(record.path, maxLoggedNameLength),
    repository: record.params.name && cut(record.params.name, maxLoggedNameLength),
    reference: record.reference && cut(record.reference, maxLoggedNameLength),
    account: record.account,
    status: record.status,
    error: record.error,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    milliseconds: Math.round(record.milliseconds * 10) / 10,
    requestId: record.requestId,
  };
  writeLine("info", fields, () => wordsOf(fields));
}

/** The columns of a request's line on a terminal. */
function wordsOf(fields: Record<string, string | number | undefined>): string[] {
  const {
    method,
    route,
    path,
    repository,
    reference,
    account,
    status,
    error,
    bytesIn,
    bytesOut,
    milliseconds,
    requestId,
  } = fields;
  const what = [path, repository, reference].filter(Boolean).join(" ");
  const bytes = Number(bytesIn) + Number(bytesOut);
  return [
    String(status),
    String(method).padEnd(6),
    String(route).padEnd(9),
    what,
    String(account ?? ""),
    `${bytes} B`,
    `${milliseconds} ms`,
    String(error ?? ""),
    String(requestId),
  ];
}

const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Counts a request that was answered. */
function countRequest(env: Env, record: RequestRecord): void {
  const { route, status, params, account, error, milliseconds, bytesIn, bytesOut } = record;
  // Clients choose the method. Made-up ones must not create an unbounded number of series.
  const method = knownMethods.has(record.method) ? record.method : "other";
  meter.add("stowage_requests_total", [route, method, String(status)]);
  if (bytesIn > 0) meter.add("stowage_request_bytes_total", [route], bytesIn);
  if (bytesOut > 0) meter.add("stowage_response_bytes_total", [route], bytesOut);
  meter.observe("stowage_request_duration_seconds", [route, method], milliseconds / 1000);
  // A data point takes 16 KB, and the client's name may be invalid and of any length.
  const repository = (params.name ?? "").slice(0, maxLoggedNameLength);
  env.ANALYTICS?.writeDataPoint({
    indexes: [repository.slice(0, 96)],
    blobs: [route, method, String(status), repository, account ?? "", error ?? ""],
    doubles: [milliseconds, bytesIn, bytesOut],
  });
}
