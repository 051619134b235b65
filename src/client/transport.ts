/** Requests to one registry: with its credentials, tried again where that helps, and redirected with care. */
import type { AccessEntry } from "../oci/scope.ts";
import { Authorizer } from "./authorizer.ts";
import type { CredentialSource } from "./credentials.ts";
import { RegistryError } from "./errors.ts";
import { discard, exchange, type Fetch, isBrokenOff, mayPass } from "./exchange.ts";
import {
  defaultPolicy,
  isPassing,
  pauseAfter,
  type RetryPolicy,
  retryAfterMs,
  systemTiming,
  type Timing,
} from "./retry.ts";

/** The input of a transport. `fetch`: the runtime's own by default. */
export type TransportOptions = {
  /** The registry's address, `http(s)://host[:port][/path]`; `v2/` is below it. */
  registry: URL;
  credentials?: CredentialSource | undefined;
  fetch?: Fetch | undefined;
  timing?: Timing;
  retries?: RetryPolicy;
  userAgent?: string;
  /** The time limit for answers to requests without a body that name none; a minute if it is left out. */
  answerWithinMs?: number;
  /** What finds the `Authorization` in place of {@link TransportOptions.credentials}: several transports share one. */
  authorizer?: Pick<Authorizer, "authorize" | "renew"> | undefined;
};

/** A request to the registry. */
export type Outgoing = {
  method: string;
  /** A path below the registry's address, without a slash in front; or an address that the registry gave. */
  target: string | URL;
  /** The scopes that the request needs, for a token. */
  scopes?: readonly AccessEntry[];
  headers?: Record<string, string>;
  /** Held by the caller and unchanged until the answer, as it may be sent again. */
  body?: Uint8Array | undefined;
  signal?: AbortSignal | undefined;
  /** Whether sending it twice does no harm. As it is with GET and HEAD. */
  isRepeatable?: boolean;
  /** Sent instead of the transport's own credentials; `""` for none. The request is then another client's. */
  authorization?: string | undefined;
  /** Whether the first answer counts: no redirect is followed, and no pause made. */
  isPassedOn?: boolean | undefined;
  /** Statuses that are answers, although a redirect may have them. */
  unfollowed?: readonly number[];
  /** The time limit for the answer: a minute for a request without a body, otherwise longer, by the body's size. */
  answerWithinMs?: number;
};

const maxRedirects = 5;
const defaultAnswerMs = 60_000;
/** A registry may work for a while on what it was sent; before that, a body is on its way at this rate or more. */
const workMs = 5 * 60_000;
const slowestBytesPerMs = 1;

/**
 * Sends requests to one registry for one credential. In a Worker, it belongs to the request that made it: what is under
 * way there is not awaited by others.
 */
export class Transport {
  readonly registry: URL;
  readonly timing: Timing;
  readonly #root: URL;
  readonly #fetch: Fetch;
  readonly #retries: RetryPolicy;
  readonly #userAgent: string | undefined;
  readonly #answerWithinMs: number;
  readonly #authorizer: Pick<Authorizer, "authorize" | "renew">;

  constructor(options: TransportOptions) {
    const { registry, credentials, timing = systemTiming, retries = defaultPolicy } = options;
    this.registry = registry;
    this.timing = timing;
    this.#root = new URL(`${registry.pathname.replace(/\/+$/, "")}/`, registry);
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
    this.#retries = retries;
    this.#userAgent = options.userAgent;
    this.#answerWithinMs = options.answerWithinMs ?? defaultAnswerMs;
    this.#authorizer =
      options.authorizer ??
      new Authorizer({
        registry,
        ping: new URL("v2/", this.#root),
        credentials: credentials ?? (async () => undefined),
        ask: (url, request) => this.#patiently(url, request, true),
        now: () => timing.now(),
      });
  }

  /**
   * An address of the registry: below its own for a path, else what the registry gave, against `base`.
   *
   * @throws RegistryError of the kind `redirected` when it is at another host
   */
  resolve(target: string | URL, base: URL = this.#root): URL {
    const url = URL.parse(target, base);
    if (url === null)
      throw new RegistryError("foreign", `${this.registry.host} gives an address that is none`);
    // A server that terminates TLS for a registry often lets it write http.
    if (
      url.protocol === "http:" &&
      this.#root.protocol === "https:" &&
      url.hostname === this.#root.hostname
    ) {
      url.protocol = "https:";
      url.port = this.#root.port;
    }
    if (url.origin === this.#root.origin) return url;
    throw new RegistryError(
      "redirected",
      `${this.registry.host} sends on to ${url.origin}: give the registry's own address`,
    );
  }

  /**
   * Sends a request; resolves with whatever was answered in the end. A 401 is answered with a new token, once. What may
   * be repeated is, after a broken connection, 408, 429 or 5xx. A redirect of a GET or HEAD is followed, elsewhere
   * without the credentials.
   *
   * @throws RegistryError when there is no answer, or it leads nowhere; or the signal's reason
   */
  async send(outgoing: Outgoing): Promise<Response> {
    const { method, scopes = [] } = outgoing;
    const url = outgoing.target instanceof URL ? outgoing.target : this.resolve(outgoing.target);
    const isRead = method === "GET" || method === "HEAD";
    const isRepeatable = outgoing.isRepeatable ?? isRead;
    const attempt = (authorization: string | undefined) => {
      const request = this.#exchangeOf(outgoing, authorization);
      if (outgoing.isPassedOn === true) return this.#once(url, request, isRepeatable);
      return this.#patiently(url, request, isRepeatable);
    };
    const isOfOther = outgoing.authorization !== undefined;
    let authorization = outgoing.authorization || undefined;
    if (!isOfOther) authorization = await this.#authorizer.authorize(scopes);
    let response = await attempt(authorization);
    if (response.status === 401 && !isOfOther) {
      const renewed = await this.#authorizer.renew(scopes, response, authorization);
      if (renewed !== undefined && renewed !== authorization) {
        await discard(response);
        authorization = renewed;
        response = await attempt(authorization);
      }
    }
    const isLed = response.status >= 300 && response.status < 400 && response.status !== 304;
    if (!isLed || outgoing.isPassedOn === true || outgoing.unfollowed?.includes(response.status))
      return response;
    return await this.#follow(url, response, outgoing, authorization);
  }

  #exchangeOf(outgoing: Outgoing, authorization: string | undefined) {
    const { method, headers, body, signal, answerWithinMs } = outgoing;
    return {
      method,
      headers: {
        // The digest is that of the bytes without a content encoding.
        "Accept-Encoding": "identity",
        ...(this.#userAgent === undefined ? {} : { "User-Agent": this.#userAgent }),
        ...headers,
        ...(authorization === undefined ? {} : { Authorization: authorization }),
      },
      body,
      signal,
      answerWithinMs:
        answerWithinMs ??
        (body === undefined ? this.#answerWithinMs : workMs + body.byteLength / slowestBytesPerMs),
    };
  }

  /** Sends one request, again after a pause where that may help. The last answer is the answer. */
  async #patiently(
    url: URL,
    request: Parameters<typeof exchange>[2],
    isRepeatable: boolean,
  ): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const isLast = !isRepeatable || attempt >= this.#retries.attempts;
      let pauseMs: number | undefined;
      try {
        const response = await this.#once(url, request, isRepeatable);
        if (isLast || !isPassing(response.status)) return response;
        pauseMs = pauseAfter(attempt, this.#retries, this.timing, retryAfterMs(response));
        if (pauseMs === undefined) return response;
        await discard(response);
      } catch (error) {
        if (isLast || !mayPass(error)) throw error;
        pauseMs = pauseAfter(attempt, this.#retries, this.timing);
      }
      await this.timing.sleep(pauseMs ?? 0, request.signal);
    }
  }

  async #once(url: URL, request: Parameters<typeof exchange>[2], isRepeatable: boolean): Promise<Response> {
    try {
      return await exchange(this.#fetch, url, request);
    } catch (error) {
      // A server may close an idle connection at the moment at which the client uses it again.
      if (!isRepeatable || !isBrokenOff(error)) throw error;
      return await exchange(this.#fetch, url, request);
    }
  }

  async #follow(
    from: URL,
    redirect: Response,
    outgoing: Outgoing,
    authorization: string | undefined,
  ): Promise<Response> {
    const isRead = outgoing.method === "GET" || outgoing.method === "HEAD";
    let response = redirect;
    let url = from;
    for (let hops = 0; response.status >= 300 && response.status < 400 && response.status !== 304; hops++) {
      const target = URL.parse(response.headers.get("Location") ?? "", url);
      await discard(response);
      const { status } = response;
      const leads = `${url.origin} sends on to ${target?.origin ?? "nowhere"}`;
      if (target === null || !isRead) {
        throw new RegistryError("redirected", `${leads}: give the registry's own address`, { status });
      }
      if (hops === maxRedirects) throw new RegistryError("redirected", `${leads}, and so on`, { status });
      if (url.protocol === "https:" && target.protocol !== "https:") {
        throw new RegistryError("redirected", `${leads}, which is not encrypted`, { status });
      }
      // The credentials are not for the server that the registry redirects to.
      const isOwn = target.origin === this.#root.origin;
      const request = this.#exchangeOf(outgoing, isOwn ? authorization : undefined);
      response = await this.#patiently(target, request, true);
      url = target;
    }
    return response;
  }
}
