/**
 * Bearer tokens from a registry's token service, kept while they are good.
 *
 * Source: Docker Registry v2 authentication, "Token Authentication Specification" and "OAuth2 Token Authentication".
 */
import { type AccessEntry, formatScope } from "../oci/scope.ts";
import { basicAuthorization, type Credential } from "./credentials.ts";
import { RegistryError } from "./errors.ts";
import { type Exchange, readWhole } from "./exchange.ts";
import { reasonIn } from "./refusals.ts";

/** A token service, as a challenge names it. */
export type TokenService = { realm: URL; service: string | undefined };

/** Sends a request to the token service. */
export type Ask = (url: URL, request: Exchange) => Promise<Response>;

type Token = { value: string; usableUntilMs: number };

/** `token` is there once the answer came; one that failed is forgotten. */
type Entry = { answer: Promise<Token>; token?: Token };

/** The lifetime that the specification defines for tokens that do not state one. */
const defaultLifeSeconds = 60;
const maxAnswerBytes = 1024 * 1024;
/** Who asks for so many scopes one after the other has forgotten the first ones. */
const maxTokens = 1000;

/** The tokens of one registry for one credential. */
export class TokenCache {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  /** @param now a clock in milliseconds */
  constructor(ask: Ask, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /**
   * A token for these scopes. Concurrent calls share one request.
   *
   * @param refused a token that the registry refused: it is not returned again
   * @throws RegistryError
   */
  async get(
    service: TokenService,
    scopes: readonly AccessEntry[],
    credential: Credential | undefined,
    refused?: string,
  ): Promise<string> {
    const texts = scopes.map(formatScope).sort();
    const key = JSON.stringify([service.realm.href, service.service, texts]);
    const kept = this.#entries.get(key);
    if (kept !== undefined && this.#isGood(kept, refused)) return (await kept.answer).value;
    const entry: Entry = { answer: this.#fetch(service, texts, credential) };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > maxTokens && oldest !== undefined) this.#entries.delete(oldest);
    try {
      entry.token = await entry.answer;
      return entry.token.value;
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  #isGood({ token }: Entry, refused: string | undefined): boolean {
    return token === undefined || (token.value !== refused && this.#now() < token.usableUntilMs);
  }

  async #fetch(
    { realm, service }: TokenService,
    scopes: string[],
    credential: Credential | undefined,
  ): Promise<Token> {
    const askedAt = this.#now();
    const fields: [string, string][] = scopes.map((scope) => ["scope", scope]);
    if (service !== undefined) fields.unshift(["service", service]);
    const response =
      credential?.kind === "refresh-token"
        ? await this.#ask(realm, exchangeOf(credential.token, service, scopes))
        : await this.#ask(withQuery(realm, fields), requestOf(credential));
    const body = await readWhole(response, maxAnswerBytes);
    if (response.status !== 200) {
      const { code, reason } = reasonIn(body);
      const said = reason ?? `status ${response.status}`;
      throw new RegistryError("refused", `${realm.host} gives no token: ${said}`, {
        status: response.status,
        code,
      });
    }
    return readToken(body, askedAt) ?? fail(realm);
  }
}

function fail(realm: URL): never {
  throw new RegistryError("foreign", `${realm.host} does not answer as a token service does`);
}

function withQuery(realm: URL, fields: [string, string][]): URL {
  const url = new URL(realm);
  for (const [name, value] of fields) url.searchParams.append(name, value);
  return url;
}

function requestOf(credential: Credential | undefined): Exchange {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (credential?.kind === "password") {
    headers.Authorization = basicAuthorization(credential.username, credential.password);
  }
  return { method: "GET", headers };
}

function exchangeOf(token: string, service: string | undefined, scopes: string[]): Exchange {
  const fields = { grant_type: "refresh_token", client_id: "stowage", refresh_token: token };
  const form = new URLSearchParams({ ...fields, service: service ?? "", scope: scopes.join(" ") });
  return {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  };
}

/** Reads the answer; a token is given up a little before its end, as it is still to travel. */
function readToken(body: Uint8Array, askedAtMs: number): Token | undefined {
  let json: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null;
  try {
    json = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
  const value = [json?.token, json?.access_token].find((text) => typeof text === "string" && text !== "");
  // A token that RFC 6750 does not allow could not be in a header either.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) return undefined;
  const lifeSeconds =
    typeof json?.expires_in === "number" && json.expires_in > 0 ? json.expires_in : defaultLifeSeconds;
  const usableSeconds = lifeSeconds - Math.min(10, lifeSeconds / 5);
  return { value, usableUntilMs: askedAtMs + usableSeconds * 1000 };
}
