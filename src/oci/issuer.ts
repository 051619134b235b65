/**
 * Token services of others that the registry trusts, as the variable `TOKEN_ISSUERS` lists them.
 *
 * Public issuers of CI tokens serve everyone, so an issuer's word alone grants nothing: each rule compares at least
 * one claim that says whose token it is, exactly; and no rule reaches beyond the repositories set for its issuer.
 */
import { type Grant, isPattern, matchesPattern, parseGrants } from "./grant.ts";

/** From claims to grants: applies if all claims in `owner` are equal and those in `claims` match their patterns. */
export type IssuerRule = { owner: Record<string, string>; claims: Record<string, string>; grants: Grant[] };

/** An issuer whose tokens are taken. Its keys are at `jwksUrl`, or given. */
export type TrustedIssuer = {
  issuer: string;
  audience: string;
  jwksUrl?: string;
  keys?: Record<string, unknown>[];
  /** Patterns of the only repositories that its tokens can be about. */
  repositories: string[];
  /** Whether it says itself what a token grants, by Docker's `access` claim. */
  acceptAccess: boolean;
  rules: IssuerRule[];
};

/** Reads the variable; `undefined` unless all of it is in order. */
export function parseIssuers(text: string): TrustedIssuer[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const issuers = value.map(parseIssuer);
  if (!issuers.every((issuer) => issuer !== undefined)) return undefined;
  // Of two entries of one issuer only the first would count.
  return new Set(issuers.map(({ issuer }) => issuer)).size === issuers.length ? issuers : undefined;
}

function parseIssuer(value: unknown): TrustedIssuer | undefined {
  if (!isObject(value)) return undefined;
  const { issuer, audience, jwksUrl, keys, repositories, acceptAccess = false, rules = [] } = value;
  if (typeof issuer !== "string" || issuer === "" || typeof audience !== "string" || audience === "")
    return undefined;
  if (!Array.isArray(repositories) || !repositories.every((p) => typeof p === "string" && isPattern(p)))
    return undefined;
  if (typeof acceptAccess !== "boolean" || !Array.isArray(rules)) return undefined;
  const parsed = rules.map(parseRule);
  if (!parsed.every((rule) => rule !== undefined)) return undefined;
  const shared = { issuer, audience, repositories, acceptAccess, rules: parsed };
  if (typeof jwksUrl === "string" && /^https?:\/\//.test(jwksUrl)) return { ...shared, jwksUrl };
  return Array.isArray(keys) && keys.every(isObject) ? { ...shared, keys } : undefined;
}

function parseRule(value: unknown): IssuerRule | undefined {
  if (!isObject(value)) return undefined;
  const { owner, claims = {} } = value;
  const grants = parseGrants(value.grants);
  if (!isStrings(owner) || Object.keys(owner).length === 0 || !isStrings(claims)) return undefined;
  return grants && { owner, claims, grants };
}

function isStrings(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string" && entry !== "");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the rules of an issuer make of a token's claims. */
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
      return typeof value === "string" && matchesPattern(pattern, value);
    })
  );
}
