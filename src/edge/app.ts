/**
 * From a request to an answer: routing, and what every request has in common. Of each there is a line in the log (JSON for
 * machines, text for a terminal), counts in the isolate's meter, and a data point where Analytics Engine is bound.
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
import { Unreachable } from "../rpc/stubs.ts";
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

/** Answers a request. Never throws: whatever fails becomes an answer, and a line in the log. */
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
  const held: Promise<unknown>[] = [];
  let account: string | undefined;
  let bytesIn: number | undefined;
  let answer: Answer;
  let registry: Registry | undefined;
  try {
    registry = registryOf(env);
    const address = addressOf(registry, request);
    const known = { request, params, registry, address, requestId, waitUntil };
    const received = (sizeBytes: number) => {
      bytesIn = sizeBytes;
    };
    answer =
      url === null
        ? failure("REQUEST_INVALID", "the Host header is malformed")
        : await dispatch(
            { ...known, url, hold: (promise) => held.push(promise), received },
            route,
            (access) => {
              account = access.account;
            },
          );
  } catch (error) {
    answer = answerError(error, requestId);
  }
  // workerd looks at its sockets only when nothing is to be done. On one machine, with sixteen clients, there always is:
  // those that it does not look at wait for seconds, and are closed as idle in the end. Its clock stands still until
  // something was waited for: what came from memory has taken no time, and lets others at once have theirs.
  if (performance.now() > startedAt) await scheduler.wait(0);
  const isApi = url?.pathname.startsWith("/api/") === true;
  const failed = isRefusal(answer) ? answer : undefined;
  // The runtime stops reading a request when its answer has ended, and resets the connection of a client that still
  // sends: it may never see why it was refused.
  if (failed !== undefined && request.body !== null && !request.body.locked) held.push(drain(request.body));
  const format = isApi ? "problem" : "oci";
  const { response, digest, bytesOut } = send(answer, { format, method, requestId, held });
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
    bytesIn: bytesIn ?? parseContentLength(request.headers.get("Content-Length")) ?? 0,
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
  }
  return response;
}

/** Writes an answer; of one that cannot be written, an error. */
function send(answer: Answer, asked: Asked): Sent {
  try {
    return respond(answer, asked);
  } catch (error) {
    return respond(answerError(error, asked.requestId), asked);
  }
}

/** Where the client is, by the header that the proxy in front sets; the platform's edge sets its own. */
function addressOf({ settings }: Registry, request: Request): string {
  const header = settings.addressHeader === "" ? null : request.headers.get(settings.addressHeader);
  return header?.split(",").at(-1)?.trim().slice(0, 64) || "unknown";
}

/** What fails for a while, through no fault of the client's or the registry's. */
const passing = [Unreachable, BucketFailed, ReplicaFailed];

function answerError(error: unknown, requestId: string): Answer {
  const facts = { requestId, error: String(error) };
  if (passing.some((kind) => error instanceof kind)) {
    log("warn", "request failed", facts);
    return failure("UNAVAILABLE");
  }
  if (error instanceof SettingError) {
    log("error", "request failed", facts);
    return failure("UNKNOWN", `the variable ${error.variable} has a wrong value`);
  }
  const stack = error instanceof Error ? error.stack : undefined;
  log("error", "request failed", { ...facts, stack });
  return failure("UNKNOWN", { requestId });
}

/** What is known of a request once it is answered. */
export type RequestRecord = {
  requestId: string;
  method: string;
  route: string;
  params: Record<string, string>;
  /** The path, where no route matched; otherwise the route and its params say it. */
  path: string | undefined;
  account: string | undefined;
  status: number;
  error: string | undefined;
  /** The digest or tag that the request is about, as far as it is known. */
  reference: string | undefined;
  /** Lengths of the bodies: of the request's what was received, where that was counted, else what was announced. */
  bytesIn: number;
  bytesOut: number;
  milliseconds: number;
};

/** How much of a name is written that a client chose, which may be none: more than any that is one has. */
const mostCharacters = 300;

/** Writes the line. */
export function logRequest(record: RequestRecord): void {
  if (!isLogged("info")) return;
  const fields = {
    method: record.method,
    route: record.route,
    path: record.path && cut(record.path, mostCharacters),
    repository: record.params.name && cut(record.params.name, mostCharacters),
    reference: record.reference && cut(record.reference, mostCharacters),
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

/** What a terminal shows of a request. */
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
export function countRequest(env: Env, record: RequestRecord): void {
  const { route, status, params, account, error, milliseconds, bytesIn, bytesOut } = record;
  // A method is the client's word: made-up ones must not make series without end.
  const method = knownMethods.has(record.method) ? record.method : "other";
  meter.add("stowage_requests_total", [route, method, String(status)]);
  if (bytesIn > 0) meter.add("stowage_request_bytes_total", [route], bytesIn);
  if (bytesOut > 0) meter.add("stowage_response_bytes_total", [route], bytesOut);
  meter.observe("stowage_request_duration_seconds", [route, method], milliseconds / 1000);
  // A point takes 16 KB, and what a client names need not be a name.
  const repository = (params.name ?? "").slice(0, mostCharacters);
  env.ANALYTICS?.writeDataPoint({
    indexes: [repository.slice(0, 96)],
    blobs: [route, method, String(status), repository, account ?? "", error ?? ""],
    doubles: [milliseconds, bytesIn, bytesOut],
  });
}
