/** One question to an upstream: admission, credentials, what came of it, and how that is told to the client. */
import type { Env } from "../../bindings.ts";
import { RegistryError } from "../../client/errors.ts";
import { RemoteRepository } from "../../client/repository.ts";
import { Transport } from "../../client/transport.ts";
import type { Clock } from "../../clock.ts";
import { log } from "../../log.ts";
import { meter } from "../../metrics/meter.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import type { Upstream } from "../../oci/upstream.ts";
import type { Question } from "../../rpc/fetch-channel.ts";
import { upstreamStub } from "../../rpc/stubs.ts";
import type { Authorized, RateLimit, UpstreamApi, UpstreamOutcome } from "../../rpc/upstream-api.ts";
import { settingsOf } from "../../settings/settings.ts";
import { second } from "../../units.ts";
import { rateLimitOf, upstreamFetch, upstreamRetries, userAgent } from "../upstream/connection.ts";

/** What a question needs: the bindings, the clock, and how work goes on after its answer. */
export type Asker = { env: Env; clock: Clock; waitUntil: (work: Promise<unknown>) => void };

/** Why there is no answer. `absent`: the upstream does not have it. `retryAfterMs`: when to ask again, if that helps. */
export type NoAnswer = {
  ok: false;
  outcome: Exclude<UpstreamOutcome, "answered">;
  detail: string;
  retryAfterMs?: number | undefined;
};

/** What an upstream answered. */
export type Asked<T> = { ok: true; value: T } | NoAnswer;

/** What is asked for, for the metrics. */
export type Kind = "tag" | "manifest" | "blob";

/** The settings of the upstream; `undefined` if there is no such upstream (any more), or it is not to be asked. */
function reachableUpstream(env: Env, id: string): Upstream | undefined {
  return settingsOf(env).upstreams.find((upstream) => upstream.id === id && !upstream.isOffline);
}

/**
 * Asks an upstream about one reference. `ask` gets the repository there; it returns `undefined` where the upstream does
 * not have the reference, and throws RegistryError as the client does.
 *
 * @param reference `<name>:<tag>` or `<name>@<digest>`
 */
export async function askUpstream<T>(
  asker: Asker,
  { upstream: id, name }: Pick<Question, "upstream" | "name">,
  reference: string,
  kind: Kind,
  ask: (repository: RemoteRepository) => Promise<T | undefined>,
): Promise<Asked<T>> {
  const upstream = reachableUpstream(asker.env, id);
  if (upstream === undefined) return { ok: false, outcome: "down", detail: `${id} is offline` };
  const state = upstreamStub(asker.env, id);
  const admission = await admit(state, id, name, reference);
  if (!admission.ok) return admission;
  const seen: { rateLimit?: RateLimit } = {};
  const transport = new Transport({
    registry: new URL(upstream.url),
    fetch: upstreamFetch(asker.env, upstream, (response) => {
      const rateLimit = rateLimitOf(response, asker.clock.now());
      if (rateLimit !== undefined) seen.rateLimit = rateLimit;
    }),
    retries: upstreamRetries,
    userAgent,
    answerWithinMs: settingsOf(asker.env).upstreamTimeoutMs,
    authorizer: {
      authorize: async () => admission.authorization,
      renew: async (_, { headers }, shown) => {
        const challenge = headers.get("WWW-Authenticate");
        return authorizationOf(await state.renew(id, name, challenge, shown));
      },
    },
  });
  const asked = await attempt(() => ask(new RemoteRepository(transport, name)));
  meter.add("stowage_upstream_requests_total", [id, kind, asked.ok ? "answered" : asked.outcome]);
  if (!asked.ok && asked.outcome !== "absent")
    log("warn", "upstream failed", { upstream: id, reference, outcome: asked.outcome, error: asked.detail });
  const report = asked.ok
    ? ({ outcome: "answered" } as const)
    : { outcome: asked.outcome, retryAfterMs: asked.retryAfterMs, detail: asked.detail };
  asker.waitUntil(state.report({ ...report, ...seen, reference }).catch(() => {}));
  return asked;
}

/** Whether the upstream may be asked, and with what. Throws Unreachable if its object does not say. */
async function admit(
  state: UpstreamApi,
  id: string,
  name: Question["name"],
  reference: string,
): Promise<(Authorized & { ok: true }) | NoAnswer> {
  const admission = await state.admit(id, name, reference);
  if (admission.ok) return admission;
  if ("reason" in admission) {
    const { reason, retryAfterMs } = admission;
    return { ok: false, outcome: reason, detail: `${id} was asked a moment ago`, retryAfterMs };
  }
  return noAnswer(errorOf(admission));
}

function errorOf({ kind, message, status, retryAfterMs }: Authorized & { ok: false }): RegistryError {
  return new RegistryError(kind, message, { status, retryAfterMs });
}

function authorizationOf(authorized: Authorized): string | undefined {
  if (authorized.ok) return authorized.authorization;
  throw errorOf(authorized);
}

async function attempt<T>(ask: () => Promise<T | undefined>): Promise<Asked<T>> {
  try {
    const value = await ask();
    return value === undefined
      ? { ok: false, outcome: "absent", detail: "the upstream does not have it" }
      : { ok: true, value };
  } catch (error) {
    return noAnswer(error);
  }
}

/** What an error of the client means. */
function noAnswer(error: unknown): NoAnswer {
  if (!(error instanceof RegistryError)) {
    // A time limit, or a body that the runtime could not read on.
    return { ok: false, outcome: "down", detail: String(error) };
  }
  const { kind, status, message: detail, retryAfterMs } = error;
  const as = (outcome: NoAnswer["outcome"]): NoAnswer => ({ ok: false, outcome, detail, retryAfterMs });
  if (status === 429) return as("limited");
  if (status === 401 || status === 403) return as("denied");
  if (status === 404) return as("absent");
  if (kind === "unreachable" || (status !== undefined && status >= 500)) return as("down");
  // What broke off may come whole the next time; what has another digest will not.
  return as(kind === "broken" && error.cause !== undefined ? "down" : "invalid");
}

const defaultRetryMs = 10 * second;

/** What a client is told when something is not here, and the upstream did not give it. */
export function failureOf(no: NoAnswer, { upstream }: Pick<Question, "upstream">, absent: Failure): Failure {
  const retryAfterSeconds = Math.max(1, Math.ceil((no.retryAfterMs ?? defaultRetryMs) / second));
  switch (no.outcome) {
    case "absent":
    case "denied":
      return absent;
    case "limited":
      return failure("UPSTREAM_LIMITED", { upstream, retryAfterSeconds });
    case "down":
      return failure("UPSTREAM_UNREACHABLE", { upstream, retryAfterSeconds });
    case "invalid":
      return failure("UPSTREAM_INVALID", { upstream });
  }
}
