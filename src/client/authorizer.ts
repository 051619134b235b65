/** The `Authorization` of requests to a registry. */
import { type AccessEntry, formatScope, parseScopes } from "../oci/scope.ts";
import { type Demand, demandOf, mayTrust } from "./challenge.ts";
import { basicAuthorization, type Credential, type CredentialSource } from "./credentials.ts";
import { RegistryError } from "./errors.ts";
import { discard } from "./exchange.ts";
import { type Ask, TokenCache } from "./tokens.ts";

const askWithinMs = 60_000;

/** The input of an {@link Authorizer}. `ping`: the address that answers with a challenge, if credentials are wanted. */
export type AuthorizerOptions = {
  registry: URL;
  ping: URL;
  credentials: CredentialSource;
  ask: Ask;
  now: () => number;
};

/**
 * Finds the `Authorization` for requests to one registry. It asks for a challenge before the first request: a registry
 * may answer a read without credentials, and then not know that the same caller may push.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens: TokenCache;
  #credential: Promise<Credential | undefined> | undefined;
  /** The challenge of the registry, once it is known. */
  #demand: Promise<Demand | undefined> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    const ask: Ask = (url, request) => options.ask(url, { ...request, answerWithinMs: askWithinMs });
    this.#tokens = new TokenCache(ask, options.now);
  }

  /** The header for a request that needs these scopes; `undefined` if none is needed. */
  async authorize(scopes: readonly AccessEntry[]): Promise<string | undefined> {
    this.#demand ??= this.#ping();
    const demand = await this.#demand.catch((error: unknown) => {
      this.#demand = undefined;
      throw error;
    });
    return await this.#meet(demand, scopes);
  }

  /**
   * The header for another try of a request that was answered with 401; `undefined` when there is nothing else to show.
   *
   * @param shown the header that the request was sent with
   */
  async renew(
    scopes: readonly AccessEntry[],
    { headers }: Pick<Response, "headers">,
    shown: string | undefined,
  ): Promise<string | undefined> {
    const demand = demandOf(headers.get("WWW-Authenticate"));
    if (demand === undefined) return undefined;
    this.#demand = Promise.resolve(demand);
    // One text, as it may name several scopes; together with ours, as it may name too few.
    const named = demand.kind === "bearer" ? (demand.scope ?? "") : "";
    const wanted = parseScopes([named, ...scopes.map(formatScope)]);
    return await this.#meet(demand, wanted, shown?.replace(/^Bearer /, ""));
  }

  async #ping(): Promise<Demand | undefined> {
    const response = await this.#options.ask(this.#options.ping, {
      method: "GET",
      answerWithinMs: askWithinMs,
    });
    await discard(response);
    return response.status === 401 ? demandOf(response.headers.get("WWW-Authenticate")) : undefined;
  }

  async #meet(
    demand: Demand | undefined,
    scopes: readonly AccessEntry[],
    refused?: string,
  ): Promise<string | undefined> {
    if (demand === undefined) return undefined;
    this.#credential ??= this.#options.credentials();
    const credential = await this.#credential.catch((error: unknown) => {
      this.#credential = undefined;
      throw error;
    });
    if (credential?.kind === "bearer") return `Bearer ${credential.token}`;
    if (demand.kind === "basic") {
      if (credential?.kind !== "password") return undefined;
      return basicAuthorization(credential.username, credential.password);
    }
    const { registry } = this.#options;
    if (credential !== undefined && !mayTrust(demand.realm, registry)) {
      throw new RegistryError(
        "untrusted",
        `${registry.host} wants the credentials at ${demand.realm.origin}, where they would go unencrypted`,
      );
    }
    return `Bearer ${await this.#tokens.get(demand, scopes, credential, refused)}`;
  }
}
