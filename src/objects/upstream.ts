/**
 * What all questions to one upstream share: tokens, places for fetches, and what is known of its state. All of it is in
 * memory: an object that forgets it asks once more than it had to. Its alarm keeps the bounds of what is cached.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { Authorizer } from "../client/authorizer.ts";
import { RegistryError } from "../client/errors.ts";
import { discard, exchange } from "../client/exchange.ts";
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
import { type DiskSpace, openDiskSpace } from "../storage/disk-space.ts";
import { type DueRow, DueTable } from "./due.ts";
import { hasTable, transaction } from "./sql.ts";
import { boundsEveryMs, boundsJob, hasBounds, keepBounds, missingBytes } from "./upstream/bounds.ts";
import { isTrustedRealm, upstreamFetch, userAgent } from "./upstream/connection.ts";
import { UpstreamHealth } from "./upstream/health.ts";
import { Places } from "./upstream/places.ts";

/** The state; see {@link UpstreamApi} for what each method does. */
export class Upstream extends DurableObject<Env> implements UpstreamApi {
  readonly #clock: Clock;
  readonly #health: UpstreamHealth;
  readonly #places: Places;
  readonly #due: DueTable;
  readonly #space: DiskSpace | undefined;
  #isScheduled = false;
  #authorizer: Authorizer | undefined;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#health = new UpstreamHealth(clock);
    this.#places = new Places(clock);
    this.#due = new DueTable(ctx.storage, clock);
    this.#space = openDiskSpace(env);
    if (hasTable(ctx.storage.sql, "due")) void this.#due.wake();
  }

  async admit(id: string, name: RepositoryName, reference: string): Promise<Admission> {
    this.#scheduleBounds(id);
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

  async check(
    id: string,
    name: RepositoryName | undefined,
  ): Promise<{ isReachable: boolean; detail: string }> {
    const upstream = this.#settings(id);
    const scopes = name === undefined ? [] : scopesOf(name);
    const authorized = await this.#authorized(id, (authorizer) => authorizer.authorize(scopes));
    if (!authorized.ok || upstream === undefined)
      return { isReachable: false, detail: authorized.ok ? "no such upstream" : authorized.message };
    const { authorization } = authorized;
    const path = name === undefined ? "v2/" : `v2/${name}/tags/list?n=1`;
    try {
      const response = await exchange(upstreamFetch(this.env, upstream), new URL(path, `${upstream.url}/`), {
        method: "GET",
        headers: {
          "User-Agent": userAgent,
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        },
        answerWithinMs: settingsOf(this.env).upstreamTimeoutMs,
      });
      await discard(response);
      const isReachable = response.status === 200;
      if (isReachable) this.#health.note({ outcome: "answered" });
      return { isReachable, detail: `status ${response.status}` };
    } catch (error) {
      return { isReachable: false, detail: String(error) };
    }
  }

  // ── Bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    await this.#due.runAlarm({ [boundsJob]: (rows) => this.#keepBounds(rows) }, invocation);
  }

  async makeRoom(id: string): Promise<void> {
    const upstream = this.#settings(id);
    if (upstream === undefined) return;
    const lacking = missingBytes(await this.#space?.state());
    await keepBounds(this.env, this.#clock.now(), upstream, lacking);
  }

  /** Has the bounds looked after, if there are any, soon after the first question of a life. */
  #scheduleBounds(id: string): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const upstream = this.#settings(id);
    if (upstream === undefined || !hasBounds(upstream, this.#space !== undefined)) return;
    transaction(this.ctx.storage, (tx) => {
      tx.write(DueTable.schema);
      if (this.#due.at(boundsJob, id) === undefined)
        this.#due.set(tx, boundsJob, id, this.#clock.now() + boundsEveryMs);
    });
    this.#due.arm();
  }

  async #keepBounds(rows: DueRow[]): Promise<void> {
    for (const { id } of rows) {
      const upstream = this.#settings(id);
      const isBounded = upstream !== undefined && hasBounds(upstream, this.#space !== undefined);
      if (isBounded) await this.makeRoom(id);
      transaction(this.ctx.storage, (tx) => {
        if (isBounded) this.#due.set(tx, boundsJob, id, this.#clock.now() + boundsEveryMs);
        else this.#due.clear(tx, boundsJob, id);
      });
    }
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
