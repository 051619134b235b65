/**
 * From a request to an answer: routing, authorisation, and what every request has in common.
 */
import { type IRequest, Router } from "itty-router";
import { type Env, SettingError } from "../env.ts";
import { Unreachable } from "../objects/stubs.ts";
import { failure } from "../oci/errors.ts";
import { parseRepositoryName } from "../oci/name.ts";
import { type Registry, registryOf, type WaitUntil } from "../registry/registry.ts";
import { BucketFailed } from "../storage/bucket.ts";
import { authenticate } from "./auth/access.ts";
import type { Answer, Context } from "./context.ts";
import { logRequest } from "./request-log.ts";
import { respond } from "./respond.ts";
import { type Route, routes } from "./routes.ts";

/** A request that matched a route, or none. */
type Routed = { route: Route | undefined; params: Record<string, string> };

const router = Router();
for (const route of routes) router.all(route.path, ({ params }: IRequest): Routed => ({ route, params }));
router.all("*", (): Routed => ({ route: undefined, params: {} }));

/** Answers a request. Never throws: whatever fails becomes an answer, and a line in the log. */
export async function handle(request: Request, env: Env, waitUntil: WaitUntil): Promise<Response> {
  const startedAt = performance.now();
  const requestId = crypto.randomUUID();
  const { route, params } = (await router.fetch(request)) as Routed;
  let answer: Answer;
  let registry: Registry | undefined;
  try {
    registry = registryOf(env);
    answer = await answerRoute(request, registry, route, params, waitUntil);
  } catch (error) {
    answer = answerError(error, requestId);
  }
  const response = respond(answer, request.method, requestId);
  const failed = "failure" in answer ? answer.failure : undefined;
  logRequest(registry?.settings.logFormat ?? "json", {
    requestId,
    method: request.method,
    route: route?.name ?? "none",
    params,
    status: response.status,
    error: failed?.error,
    request,
    response,
    milliseconds: performance.now() - startedAt,
  });
  return response;
}

async function answerRoute(
  request: Request,
  registry: Registry,
  route: Route | undefined,
  rawParams: Record<string, string>,
  waitUntil: WaitUntil,
): Promise<Answer> {
  const authenticated = authenticate(registry.settings);
  if (!authenticated.ok) return { failure: authenticated };
  if (route === undefined)
    return { failure: failure("ROUTE_UNKNOWN", { path: new URL(request.url).pathname }) };
  const method = request.method === "HEAD" ? "GET" : request.method;
  const params = decodeParams(rawParams);
  const { access } = authenticated;
  const context: Context = { request, url: new URL(request.url), params, registry, access, waitUntil };

  if (route.of === "registry") {
    const answer = Object.hasOwn(route.methods, method) ? route.methods[method as "GET"] : undefined;
    return answer === undefined ? methodUnsupported(route, request.method) : answer(context);
  }
  // Names are not percent-decoded: a registry that did would serve one repository under many names.
  const repository = parseRepositoryName(rawParams.name ?? "");
  if (repository === undefined) return { failure: failure("NAME_INVALID", { name: rawParams.name }) };
  const endpoint = Object.hasOwn(route.methods, method) ? route.methods[method as "GET"] : undefined;
  if (endpoint === undefined) return methodUnsupported(route, request.method);
  if (!access.may(endpoint.needs, repository)) return { failure: failure("DENIED", { repository }) };
  return endpoint.answer({ ...context, repository });
}

function methodUnsupported(route: Route, method: string): Answer {
  const methods = Object.keys(route.methods);
  const allowed = methods.includes("GET")
    ? ["GET", "HEAD", ...methods.filter((name) => name !== "GET")]
    : methods;
  return { failure: failure("METHOD_UNSUPPORTED", { method }), headers: { Allow: allowed.join(", ") } };
}

/** Some clients write the colon of a digest as `%3A`. What does not decode stays as it is, and fails its grammar. */
function decodeParams(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      try {
        return [name, decodeURIComponent(value)];
      } catch {
        return [name, value];
      }
    }),
  );
}

function answerError(error: unknown, requestId: string): Answer {
  const event = { event: "request failed", requestId, error: String(error) };
  if (error instanceof Unreachable || error instanceof BucketFailed) {
    console.warn(JSON.stringify(event));
    return { failure: failure("UNAVAILABLE") };
  }
  const stack = error instanceof Error ? error.stack : undefined;
  console.error(JSON.stringify({ ...event, stack }));
  return { failure: failure("UNKNOWN", error instanceof SettingError ? error.message : { requestId }) };
}
