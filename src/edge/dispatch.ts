/**
 * Finds the route of a path, authenticates and authorises the caller, and calls the endpoint of the method.
 *
 * itty-router compiles the patterns. They are matched here and not by its `fetch`, which parses the URL and its query
 * again, writes them into the request and awaits a promise. That costs more than the rest of a pull from memory.
 */

import { IttyRouter } from "itty-router";
import { apiRoot } from "../contract/operation.ts";
import { errorCatalogue, failure, isAbsence } from "../oci/errors.ts";
import { parseContentLength } from "../oci/http.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Addressed } from "../oci/upstream.ts";
import type { Registry } from "../registry/registry.ts";
import { addressOf } from "./addressing.ts";
import { answerInRoom } from "./answer-room.ts";
import { type AuditEvent, audit } from "./auth/audit.ts";
import { authCacheOf, authenticate, checkConfigured } from "./auth/authenticate.ts";
import {
  anonymous,
  bearerChallenge,
  challenge,
  countMiss,
  countUpstreamMiss,
  refusalByOrigin,
  refusalFor,
} from "./auth/authorise.ts";
import { managementChallenge, managementRefusal } from "./auth/management.ts";
import { accessBySession, isNoJsonChange } from "./auth/session.ts";
import type { Access, Answer, Context, HeaderMap, Refusal, RepositoryContext } from "./context.ts";
import { isRefusal } from "./respond.ts";
import type { ManagementRoute, RepositoryEndpoint, RepositoryRoute, Route } from "./route.ts";
import { routes } from "./routes.ts";

/** A request whose caller is not authenticated yet. */
export type Unauthenticated = Omit<Context, "access">;

type Outcome = Pick<AuditEvent, "outcome" | "detail" | "kind">;

/** Answers a request. `onAccess` is called with the caller's access, for the log. */
export async function dispatch(
  unauthenticated: Unauthenticated,
  route: Route | undefined,
  onAccess: (access: Access) => void,
): Promise<Answer> {
  const answer = await answerRoute(unauthenticated, route, onAccess);
  const isUnsupported = isRefusal(answer) && errorCatalogue[answer.error].status === 405;
  if (!isUnsupported || route === undefined) return answer;
  return withHeaders(answer, { Allow: otherMethods(route.methods, unauthenticated.request.method) });
}

/**
 * The methods of a route but for the one that was refused (RFC 9110, 15.5.6). Where that leaves none, as for uploads to
 * what can only be read, those of reading: the runtime sends no header without a value.
 */
function otherMethods(methods: object, refused: string): string {
  const others = Object.keys(methods).filter((name) => name !== refused);
  const named = others.flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
  return named.join(", ") || "GET, HEAD";
}

async function answerRoute(
  unauthenticated: Unauthenticated,
  route: Route | undefined,
  onAccess: (access: Access) => void,
): Promise<Answer> {
  const { registry, request, url, address } = unauthenticated;
  const refusal = refusalByOrigin({
    settings: registry.settings,
    request,
    url,
    isRead: isRead(route, request.method),
  });
  if (refusal !== undefined) return refusal;
  if (route?.of === "health") return answerPlainly(unauthenticated, route.methods);
  const configured = checkConfigured(registry.settings);
  if (!configured.ok) return configured;
  if (route === undefined) return failure("ROUTE_UNKNOWN", { path: url.pathname });
  if (route.of === "public") return answerPlainly({ ...unauthenticated, access: anonymous }, route.methods);

  const authenticated = await authenticate(authCacheOf(registry), {
    authorization: request.headers.get("Authorization"),
    address,
    isUpload: route.name === "upload",
    isScrape: route.name === "metrics",
  });
  if (!authenticated.ok) {
    const { settings } = registry;
    if (authenticated.error !== "LOGIN_FAILED" && authenticated.error !== "TOKEN_INVALID") {
      return authenticated;
    }
    const isStale = authenticated.error === "TOKEN_INVALID";
    if (route.of === "management") {
      return { ...authenticated, headers: managementChallenge(settings, request) };
    }
    const error = isStale ? "invalid_token" : undefined;
    const header = bearerChallenge(settings, url, request.headers, [], error);
    return { ...authenticated, headers: { "WWW-Authenticate": header } };
  }
  const bySession = await sessionOf(unauthenticated);
  const access = bySession ?? authenticated.access;
  onAccess(access);
  const context: Context = { ...unauthenticated, access };
  switch (route.of) {
    case "registry": {
      const isAdmitted = route.scope === undefined ? access.credential !== "none" : access.mayList;
      if (!isAdmitted) return challenge(context, route.scope === undefined ? [] : [route.scope]);
      const answer = async () => answerPlainly(context, route.methods);
      return route.scope === undefined ? answer() : answerInRoom(context, answer);
    }
    case "repository":
      return answerForRepository(context, route);
    case "management":
      return answerManagement(context, route);
  }
}

/** The access of a browser that is signed in. Its cookie counts for operations of the management API alone. */
async function sessionOf(received: Unauthenticated): Promise<Access | undefined> {
  const { request, url } = received;
  const isOperation = url.pathname.startsWith(`${apiRoot}/`);
  return isOperation && !request.headers.has("Authorization") ? accessBySession(received) : undefined;
}

async function answerForRepository(context: Context, route: RepositoryRoute): Promise<Answer> {
  const found = addressOf(context, context.params.name ?? "");
  if (!found.ok) return found;
  const answer = await answerAt(context, route, found.addressed);
  // distribution-spec: Registry Proxying.
  return found.namespace === undefined ? answer : withHeaders(answer, { "OCI-Namespace": found.namespace });
}

function withHeaders(answer: Answer, headers: HeaderMap): Answer {
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

async function answerAt(
  context: Context,
  route: RepositoryRoute,
  { repository, cached }: Addressed,
): Promise<Answer> {
  // The log has the canonical name, too.
  context.params.name = repository;
  const endpoint = methodOf(route.methods, context.request.method);
  if (endpoint === undefined) return methodUnsupported(context);
  const { access, request } = context;
  const isContent = route.isContent === true;
  const isExistenceCheckByPusher =
    isContent && request.method === "HEAD" && cached === undefined && access.may("push", repository);
  const refusal = await refusalFor(context, repository, isExistenceCheckByPusher ? "push" : endpoint.needs);
  if (refusal !== undefined) return refusal;
  if (cached !== undefined && endpoint.needs === "push") return refusePush(context.registry, repository);
  // Writes with a token were audited when the token was issued.
  const isAudited = isContent && endpoint.needs !== "pull" && access.credential === "password";
  const record = (outcome: Outcome) => {
    if (isAudited) audit(context, { action: endpoint.needs, target: repository, ...outcome });
  };
  let answer: Answer;
  try {
    const answerIt = () => answerUnlessDiskFull(endpoint, { ...context, repository, cached });
    answer = endpoint.isList === true ? await answerInRoom(context, answerIt) : await answerIt();
  } catch (error) {
    // The change may have been made all the same.
    record({ outcome: "failed", detail: String(error).slice(0, 200), kind: "use" });
    throw error;
  }
  record(isRefusal(answer) ? { outcome: "failed", detail: answer.error } : { outcome: "done", kind: "use" });
  if (isRefusal(answer) && isAbsence(answer.error)) {
    await countMiss(context);
    if (cached !== undefined) await countUpstreamMiss(context);
  }
  return answer;
}

/**
 * Refuses a push to a name of an upstream. A repository that was pushed before the upstream was set up stays what it is,
 * and takes no more pushes.
 */
async function refusePush({ ledger }: Registry, repository: RepositoryName): Promise<Refusal> {
  const info = await ledger(repository).info();
  if (info !== undefined && info.kind !== "cache") return failure("UPSTREAM_RESERVED", { repository });
  return failure("UPSTREAM_READ_ONLY", { repository });
}

/**
 * Calls an endpoint. On one machine, an endpoint that stores something is refused if the disk has no room for it:
 * before the body is read, or when storing it fails for lack of room. Error: `DISK_FULL`.
 */
async function answerUnlessDiskFull(
  endpoint: RepositoryEndpoint,
  context: RepositoryContext,
): Promise<Answer> {
  const { space } = context.registry;
  if (endpoint.needsDiskSpace !== true || space === undefined) return endpoint.answer(context);
  const length = parseContentLength(context.request.headers.get("Content-Length")) ?? 0;
  if (!(await space.hasRoom(length))) return failure("DISK_FULL");
  try {
    const answer = await endpoint.answer(context);
    return hasFailed(answer) && (await space.explains(answer)) ? failure("DISK_FULL") : answer;
  } catch (error) {
    if (await space.explains(error)) return failure("DISK_FULL");
    throw error;
  }
}

/** Whether the request failed through no fault of the client. */
function hasFailed(answer: Answer): boolean {
  return isRefusal(answer) && errorCatalogue[answer.error].status >= 500;
}

async function answerManagement(context: Context, route: ManagementRoute): Promise<Answer> {
  const endpoint = methodOf(route.methods, context.request.method);
  if (endpoint === undefined) return methodUnsupported(context);
  if (isNoJsonChange(context.access, context.request)) {
    return failure("REQUEST_INVALID", "the Content-Type must be application/json");
  }
  const refusal = await managementRefusal(context, route.name, endpoint.access);
  if (refusal !== undefined) return refusal;
  const isRead = context.request.method === "GET" || context.request.method === "HEAD";
  return isRead ? answerInRoom(context, () => endpoint.answer(context)) : endpoint.answer(context);
}

function answerPlainly<C extends Pick<Context, "request">>(
  context: C,
  methods: Partial<Record<string, (context: C) => Promise<Answer>>>,
): Promise<Answer> | Answer {
  const endpoint = methodOf(methods, context.request.method);
  return endpoint === undefined ? methodUnsupported(context) : endpoint(context);
}

function methodUnsupported({ request: { method } }: Pick<Context, "request">): Refusal {
  return failure("METHOD_UNSUPPORTED", { method });
}

/** The route that a path matched, if any, and the parameters of its pattern, percent-decoded. */
export type Routed = { route: Route | undefined; params: Record<string, string> };

/** The result for a path that matches no route. */
export const unrouted: Routed = { route: undefined, params: {} };

const router = IttyRouter();
for (const { path } of routes) router.all(path, () => undefined);

const table = router.routes.map(([, pattern, , path = ""], index) => ({
  pattern,
  fixed: longestFixedPart(path),
  route: routes[index],
}));

/** A text that is part of every path that the pattern matches. Searching for it is cheaper than trying the pattern. */
function longestFixedPart(path: string): string {
  const parts = path.split(/:\w+\+?/).map((part) => part.replace(/\/$/, ""));
  return parts.reduce((longest, part) => (part.length > longest.length ? part : longest));
}

/**
 * Finds the first route whose pattern matches; its params are unchecked. In the management API, a route that has the
 * method is preferred to one that does not: `team/manifests` may be the name of a repository.
 */
export function findRoute(path: string, method: string): Routed {
  let other: Routed | undefined;
  for (const { pattern, fixed, route } of table) {
    const match = path.includes(fixed) ? pattern.exec(path) : null;
    if (match === null || route === undefined) continue;
    const routed = { route, params: decodeParams(match.groups) };
    if (route.of !== "management" || methodOf(route.methods, method) !== undefined) return routed;
    other ??= routed;
  }
  return other ?? unrouted;
}

/**
 * Decodes parameters: some clients write the colon of a digest as `%3A`, and the slashes of a name as `%2F`. Nothing
 * else is decoded in a name, as no other character that a name may contain needs to be encoded.
 */
function decodeParams(groups: Record<string, string> = {}): Record<string, string> {
  const params: Record<string, string> = {};
  for (const param in groups) {
    const value = groups[param] ?? "";
    if (!value.includes("%")) params[param] = value;
    else params[param] = param === "name" ? value.replace(/%2f/gi, "/") : decode(value);
  }
  return params;
}

/** Malformed encoding is returned as it is; the parser of the parameter refuses it. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The endpoint for a method among those of a route; GET also answers HEAD. */
function methodOf<E>(methods: Partial<Record<string, E>>, method: string): E | undefined {
  const name = method === "HEAD" ? "GET" : method;
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/**
 * Whether a cross-site request is harmless. Management routes are not: a browser would attach a saved password. Nor are
 * public routes with a side effect.
 */
export function isRead(route: Route | undefined, method: string): boolean {
  const hasSideEffect =
    route?.of === "management" || (route?.of === "public" && route.hasSideEffect === true);
  return !hasSideEffect && (method === "GET" || method === "HEAD" || method === "OPTIONS");
}

/** Whether monitoring polls this route. */
export function isProbe(route: Route | undefined): boolean {
  return route !== undefined && "isProbe" in route && route.isProbe === true;
}
