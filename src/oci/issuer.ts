/**
 * Federated token issuers, which the variable `TOKEN_ISSUERS` lists.
 *
 * Public issuers of CI tokens serve everyone, so a token of an issuer grants nothing by itself. Each rule requires at
 * least one claim that identifies the token's owner, by exact comparison, and grants access only to the repositories
 * that are set for its issuer.
 */
import type { Rejection, Result } from "./errors.ts";
import { type Grant, parseGrants } from "./grant.ts";
import { isObject } from "./manifest-fields.ts";
import { isPattern, matchesText } from "./pattern.ts";
import { readObject, readStrictly, readText, Wrong } from "./strict-json.ts";

/** A rule that maps claims to grants: it applies if all claims in `owner` are equal and those in `claims` match. */
export type IssuerRule = { owner: Record<string, string>; claims: Record<string, string>; grants: Grant[] };

/** An issuer whose tokens are accepted. Its keys are fetched from `jwksUrl`, or are in `keys`. */
export type TrustedIssuer = {
  issuer: string;
  audience: string;
  jwksUrl?: string;
  keys?: Record<string, unknown>[];
  /** Patterns of the only repositories that its tokens can give access to. */
  repositories: string[];
  /** Whether its tokens may have an `access` claim, as in Docker's tokens, that says what they grant. */
  acceptAccess: boolean;
  rules: IssuerRule[];
};

/** The value of the variable, or what is wrong with it, in words that quote no value. */
export type ParsedIssuers = Result<{ issuers: TrustedIssuer[] }, Rejection>;

/** Reads the variable. */
export function parseIssuers(text: string): ParsedIssuers {
  const read = readStrictly(text, readIssuers);
  return read.ok ? { ok: true, issuers: read.value } : read;
}

function readIssuers(value: unknown): TrustedIssuer[] {
  if (!Array.isArray(value)) throw new Wrong("it", "a list of issuers");
  const issuers = value.map((entry, index) => readIssuer(entry, `[${index}]`));
  const names = issuers.map(({ issuer }) => issuer);
  const again = names.findIndex((name, index) => names.indexOf(name) !== index);
  // Only the first of two entries for one issuer would be used.
  if (again !== -1) throw new Wrong(`[${again}].issuer`, "another one than those before it");
  return issuers;
}

const issuerFields = ["issuer", "audience", "jwksUrl", "keys", "repositories", "acceptAccess", "rules"];

function readIssuer(value: unknown, where: string): TrustedIssuer {
  const given = readObject(value, where, issuerFields);
  const { jwksUrl, keys, repositories, acceptAccess = false, rules = [] } = given;
  if (!Array.isArray(repositories) || !repositories.every((p) => typeof p === "string" && isPattern(p)))
    throw new Wrong(`${where}.repositories`, "a list of repository patterns");
  if (typeof acceptAccess !== "boolean") throw new Wrong(`${where}.acceptAccess`, "true or false");
  if (!Array.isArray(rules)) throw new Wrong(`${where}.rules`, "a list");
  const shared = {
    issuer: readText(given.issuer, `${where}.issuer`),
    audience: readText(given.audience, `${where}.audience`),
    repositories,
    acceptAccess,
    rules: rules.map((rule, index) => readRule(rule, `${where}.rules[${index}]`)),
  };
  if (jwksUrl !== undefined) {
    if (typeof jwksUrl !== "string" || !/^https?:\/\//.test(jwksUrl))
      throw new Wrong(`${where}.jwksUrl`, "an http or https URL");
    return { ...shared, jwksUrl };
  }
  if (!Array.isArray(keys) || !keys.every(isObject))
    throw new Wrong(`${where}.keys`, "a list of keys, where there is no jwksUrl");
  return { ...shared, keys };
}

function readRule(value: unknown, where: string): IssuerRule {
  // A misspelt field would silently drop a condition.
  const { owner, claims = {}, grants: given } = readObject(value, where, ["owner", "claims", "grants"]);
  const grants = parseGrants(given);
  if (grants === undefined)
    throw new Wrong(`${where}.grants`, "a list of grants: a repository pattern and verbs");
  const owned = readTexts(owner, `${where}.owner`);
  if (Object.keys(owned).length === 0) throw new Wrong(`${where}.owner`, "at least one claim");
  return { owner: owned, claims: readTexts(claims, `${where}.claims`), grants };
}

function readTexts(value: unknown, where: string): Record<string, string> {
  if (!isObject(value)) throw new Wrong(where, "an object of texts");
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, readText(entry, `${where}.${name}`)]),
  );
}

/** The grants that the rules of an issuer give to a token's claims. */
export function grantsOfClaims(issuer: TrustedIssuer, claims: Record<string, unknown>): Grant[] {
  return issuer.rules.filter((rule) => applies(rule, claims)).flatMap((rule) => rule.grants);
}

function applies(rule: IssuerRule, claims: Record<string, unknown>): boolean {
  const claim = (name: string) => (Object.hasOwn(claims, name) ? claims[name] : undefined);
  const isOwned = Object.entries(rule.owner).every(([name, value]) => claim(name) === value);
  return (
    isOwned &&
    Object.entries(rule.claims).every(([name, pattern]) => {
      const value = claim(name);
      return typeof value === "string" && matchesText(pattern, value);
    })
  );
}
