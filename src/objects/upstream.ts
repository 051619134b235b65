/**
 * What all questions to one upstream share: tokens, places for fetches, and what is known of its state. All of it is in
 * memory: an object that forgets it asks once more than it had to.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { Authorizer } from "../client/authorizer.ts";
import { RegistryError } from "../client/errors.ts";
import { exchange } from "../client/exchange.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Upstream as UpstreamSettings } from "../oci/upstream.ts";
import type {
  Admission,
  Authorized,
  UpstreamApi,
  UpstreamReport,
  UpstreamState,
} from "../rpc/upstream-api.ts";
import { settingsOf } from "../settings/settings.ts";
import { isTrustedRealm, upstreamFetch } from "./upstream/connection.ts";
import { UpstreamHealth } from "./upstream/health.ts";
import { Places } from "./upstream/places.ts";

/** The state; see {@link UpstreamApi} for what each method does. */
export class Upstream extends DurableObject<Env> implements UpstreamApi {
  readonly #clock: Clock;
  readonly #health: UpstreamHealth;
  readonly #places: Places;
  #authorizer: Authorizer | undefined;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#health = new UpstreamHealth(clock);
    this.#places = new Places(clock);
  }

  async admit(id: string, name: RepositoryName, reference: string): Promise<Admission> {
    const refusal = this.#health.refusal(reference);
    if (refusal !== undefined) return refusal;
    const authorized = await this.#authorized(id, (authorizer) => authorizer.authorize(scopesOf(name)));
    if (!authorized.ok) this.#health.note({ ...failureReport(authorized), reference });
    return authorized;
  }

  async renew(
    id: string,
    name: RepositoryName,
    challenge: string | null,
    shown: string | undefined,
  ): Promise<Authorized> {
    const headers = new Headers(challenge === null ? {} : { "WWW-Authenticate": challenge });
    return this.#authorized(id, (authorizer) => authorizer.renew(scopesOf(name), { headers }, shown));
  }

  async report(report: UpstreamReport): Promise<void> {
    this.#health.note(report);
  }

  async takePlace(id: string, fetch: string): Promise<boolean> {
    return this.#places.take(fetch, this.#settings(id)?.maxConcurrent ?? 1);
  }

  async leavePlace(fetch: string): Promise<void> {
    this.#places.leave(fetch);
  }

  async state(): Promise<UpstreamState> {
    return { ...this.#health.state(), fetches: this.#places.taken() };
  }

  #settings(id: string): UpstreamSettings | undefined {
    return settingsOf(this.env).upstreams.find((upstream) => upstream.id === id);
  }

  async #authorized(
    id: string,
    find: (authorizer: Authorizer) => Promise<string | undefined>,
  ): Promise<Authorized> {
    const upstream = this.#settings(id);
    if (upstream === undefined)
      return { ok: false, kind: "refused", message: `the settings have no upstream ${id}`, status: 404 };
    try {
      this.#authorizer ??= this.#makeAuthorizer(upstream);
      return { ok: true, authorization: await find(this.#authorizer) };
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      // What the upstream demanded may be different the next time.
      this.#authorizer = undefined;
      const { kind, message, status, retryAfterMs } = error;
      return { ok: false, kind, message, status, retryAfterMs };
    }
  }

  #makeAuthorizer(upstream: UpstreamSettings): Authorizer {
    const { url, credential } = upstream;
    const { upstreamTimeoutMs } = settingsOf(this.env);
    const registry = new URL(url);
    const ping = new URL("v2/", `${url}/`);
    const fetch = upstreamFetch(this.env, upstream);
    return new Authorizer({
      registry,
      ping,
      credentials: async () => credential && { kind: "password", ...credential },
      ask: async (address, request) => {
        if (address.href !== ping.href && !isTrustedRealm(address, upstream))
          throw new RegistryError(
            "untrusted",
            `${registry.host} wants tokens of ${address.origin}, which is at another domain: "realm" in UPSTREAMS may name it`,
          );
        return exchange(fetch, address, { ...request, answerWithinMs: upstreamTimeoutMs });
      },
      now: () => this.#clock.now(),
    });
  }
}

function scopesOf(name: RepositoryName) {
  return [{ type: "repository", name, actions: ["pull"] }];
}

function failureReport({ kind, status, message, retryAfterMs }: Authorized & { ok: false }): UpstreamReport {
  const isDown = kind === "unreachable" || (status !== undefined && status >= 500);
  const outcome = status === 429 ? "limited" : isDown ? "down" : "denied";
  return { outcome, retryAfterMs, detail: message };
}
