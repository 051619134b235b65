/**
 * From a route to its endpoint: who asks, whether they may, and whether the route knows the method.
 */
import { failure, isAbsence } from "../oci/errors.ts";
import { parseRepositoryName } from "../oci/name.ts";
import { type AuditEvent, audit } from "./auth/audit.ts";
import { authCacheOf } from "./auth/auth-cache.ts";
import { authenticate, checkConfigured } from "./auth/authenticate.ts";
import {
  anonymous,
  basicChallenge,
  bearerChallenge,
  challenge,
  isAnonymous,
  refusalByOrigin,
  refusalFor,
} from "./auth/authorise.ts";
import { networkName } from "./auth/limits.ts";
import { managementRefusal } from "./auth/management.ts";
import { type Access, type Answer, type Context, isRefusal } from "./context.ts";
import { answerWithRoom } from "./disk-room.ts";
import { type ManagementRoute, methodOf, type RepositoryRoute, type Route } from "./route.ts";

/** A request before it is known who asks. */
export type Unauthenticated = Omit<Context, "access">;

type Outcome = Pick<AuditEvent, "outcome" | "detail" | "kind">;

/** Answers a request that matched a route. `onAccess` learns who asks, for the log. */
export async function dispatch(
  unknown: Unauthenticated,
  route: Route | undefined,
  onAccess: (access: Access) => void,
): Promise<Answer> {
  const { registry, request, url, network } = unknown;
  const refusal = refusalByOrigin({ settings: registry.settings, request, url, route });
  if (refusal !== undefined) return refusal;
  if (route?.of === "health") return answerPlainly(unknown, route.methods);
  const configured = checkConfigured(registry.settings);
  if (!configured.ok) return configured;
  if (route === undefined) return failure("ROUTE_UNKNOWN", { path: url.pathname });
  if (route.of === "public") return answerPlainly({ ...unknown, access: anonymous }, route.methods);

  const authenticated = await authenticate(authCacheOf(registry), {
    authorization: request.headers.get("Authorization"),
    network,
    isUpload: route.name === "upload",
    isScrape: route.name === "metrics",
  });
  if (!authenticated.ok) {
    const { settings } = registry;
    if (authenticated.error !== "LOGIN_FAILED" && authenticated.error !== "TOKEN_INVALID") {
      return authenticated;
    }
    const isStale = authenticated.error === "TOKEN_INVALID";
    const header =
      route.of === "management"
        ? basicChallenge(settings)
        : bearerChallenge(settings, url, request.headers, [], isStale ? "invalid_token" : undefined);
    return { ...authenticated, headers: { "WWW-Authenticate": header } };
  }
  const { access } = authenticated;
  onAccess(access);
  const context: Context = { ...unknown, access };
  switch (route.of) {
    case "registry": {
      const isLetIn = route.scope === undefined ? access.credential !== "none" : access.mayList;
      if (!isLetIn) return challenge(context, route.scope === undefined ? [] : [route.scope]);
      return answerPlainly(context, route.methods);
    }
    case "repository":
      return answerForRepository(context, route);
    case "management":
      return answerManagement(context, route);
  }
}

async function answerForRepository(context: Context, route: RepositoryRoute): Promise<Answer> {
  const repository = parseRepositoryName(context.params.name ?? "");
  if (repository === undefined) return failure("NAME_INVALID", { name: context.params.name });
  const endpoint = methodOf(route.methods, context.request.method);
  if (endpoint === undefined) return methodUnsupported(route.methods, context.request.method);
  const { access, request } = context;
  const isContent = route.isContent === true;
  const isAskedByPusher = isContent && request.method === "HEAD" && access.may("push", repository);
  const refusal = await refusalFor(context, repository, isAskedByPusher ? "push" : endpoint.needs);
  if (refusal !== undefined) return refusal;
  // Writes with a token were audited when the token was issued.
  const isNoted = isContent && endpoint.needs !== "pull" && access.credential === "password";
  const note = (outcome: Outcome) => {
    if (isNoted) audit(context, { action: endpoint.needs, target: repository, ...outcome });
  };
  let answer: Answer;
  try {
    answer = await answerWithRoom(endpoint, { ...context, repository });
  } catch (error) {
    // It may have been done nevertheless.
    note({ outcome: "failed", detail: String(error).slice(0, 200), kind: "use" });
    throw error;
  }
  note(isRefusal(answer) ? { outcome: "failed", detail: answer.error } : { outcome: "done", kind: "use" });
  // Who asks a public repository for one thing after the other that is not there is guessing, or broken.
  if (isRefusal(answer) && isAbsence(answer.error) && isAnonymous(access)) {
    await authCacheOf(context.registry).misses.count(networkName(context.network));
  }
  return answer;
}

async function answerManagement(context: Context, route: ManagementRoute): Promise<Answer> {
  const endpoint = methodOf(route.methods, context.request.method);
  if (endpoint === undefined) return methodUnsupported(route.methods, context.request.method);
  const refusal = await managementRefusal(context, route.name, endpoint.access);
  return refusal ?? endpoint.answer(context);
}

function answerPlainly<C extends Pick<Context, "request">>(
  context: C,
  methods: Partial<Record<string, (context: C) => Promise<Answer>>>,
): Promise<Answer> | Answer {
  const { method } = context.request;
  const endpoint = methodOf(methods, method);
  return endpoint === undefined ? methodUnsupported(methods, method) : endpoint(context);
}

function methodUnsupported(methods: object, method: string): Answer {
  const names = Object.keys(methods);
  const allowed = names.includes("GET") ? ["GET", "HEAD", ...names.filter((name) => name !== "GET")] : names;
  return { ...failure("METHOD_UNSUPPORTED", { method }), headers: { Allow: allowed.join(", ") } };
}
