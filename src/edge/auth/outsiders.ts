/**
 * Tokens of other issuers: verified against their own keys, and turned into grants by the rules set for them.
 */
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { failure, type Result } from "../../oci/errors.ts";
import type { Grant } from "../../oci/grant.ts";
import { grantsOfClaims, type TrustedIssuer } from "../../oci/issuer.ts";
import { type AccessEntry, parseAccessClaim, verbsOf } from "../../oci/scope.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Principal } from "./principal.ts";

/** Signatures with a public key only: an issuer's published key must never count as a shared secret. */
const algorithms = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

const clockToleranceSeconds = 10;

/** Keys are fetched again after this time, or, for a key that is not among them, after the shorter one. */
const freshMs = 10 * 60_000;
const askAgainMs = 30_000;

/** How long a fetch of keys may take, and how large they may be. */
const fetchTimeoutMs = 5_000;
const maxJwksBytes = 256 * 1024;

type KeptKeys = { jwks: JSONWebKeySet; fetchedAt: number };

/** What a token of another issuer comes to. `access`: what it says itself, where its issuer may say that. */
export type Outsider = { principal: Principal; access: AccessEntry[] | undefined };

/** The issuers of `TOKEN_ISSUERS`, and the keys that this isolate has of them. */
export class Outsiders {
  readonly #registry: Registry;
  readonly #keys = new Map<string, KeptKeys>();
  readonly #triedAt = new Map<string, number>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Whether a token names one of the issuers; nothing is verified yet. */
  issuerOf(token: string): TrustedIssuer | undefined {
    try {
      const { iss } = decodeJwt(token);
      return this.#registry.settings.issuers.find(({ issuer }) => issuer === iss);
    } catch {
      return undefined;
    }
  }

  /** Who shows a token as password of the user `oidc`. Error: `LOGIN_FAILED`. */
  async exchange(token: string): Promise<Result<{ principal: Principal }>> {
    const issuer = this.issuerOf(token);
    const verified = issuer === undefined ? undefined : await this.verify(issuer, token);
    if (!verified?.ok) return failure("LOGIN_FAILED");
    const { principal } = verified.outsider;
    return { ok: true, principal };
  }

  /** Verifies a token of this issuer. Errors: `TOKEN_INVALID`; `UNAVAILABLE` when its keys cannot be had. */
  async verify(issuer: TrustedIssuer, token: string): Promise<Result<{ outsider: Outsider }>> {
    for (const isLastTry of [false, true]) {
      const jwks = await this.#keysOf(issuer, isLastTry ? askAgainMs : freshMs);
      if (jwks === undefined) return failure("UNAVAILABLE", `the keys of ${issuer.issuer} cannot be fetched`);
      try {
        const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
          algorithms,
          issuer: issuer.issuer,
          audience: issuer.audience,
          clockTolerance: clockToleranceSeconds,
          currentDate: new Date(this.#registry.clock.now()),
          requiredClaims: ["sub", "exp"],
        });
        return { ok: true, outsider: toOutsider(issuer, payload) };
      } catch (error) {
        // A key that is not known may be a new one.
        if (error instanceof errors.JWKSNoMatchingKey && !isLastTry) continue;
        if (error instanceof errors.JOSEError || error instanceof TypeError) return failure("TOKEN_INVALID");
        throw error;
      }
    }
    return failure("TOKEN_INVALID");
  }

  /**
   * The issuer's keys, at most so old; older ones if new ones cannot be had now. Each request fetches for itself, so
   * that none waits for another's I/O; one at a time does, as long as there are keys to go on with.
   */
  async #keysOf(issuer: TrustedIssuer, maxAgeMs: number): Promise<JSONWebKeySet | undefined> {
    if (issuer.jwksUrl === undefined) return { keys: issuer.keys ?? [] } as JSONWebKeySet;
    const now = this.#registry.clock.now();
    const kept = this.#keys.get(issuer.issuer);
    const isRecent = kept !== undefined && now - kept.fetchedAt < maxAgeMs;
    const isTried = now - (this.#triedAt.get(issuer.issuer) ?? Number.NEGATIVE_INFINITY) < askAgainMs;
    if (isRecent || (isTried && kept !== undefined)) return kept.jwks;
    this.#triedAt.set(issuer.issuer, now);
    try {
      const jwks = await fetchJwks(issuer.jwksUrl);
      this.#keys.set(issuer.issuer, { jwks, fetchedAt: now });
      return jwks;
    } catch (error) {
      console.warn(
        JSON.stringify({ event: "keys not fetched", issuer: issuer.issuer, error: String(error) }),
      );
      return kept?.jwks;
    }
  }
}

async function fetchJwks(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(fetchTimeoutMs),
    redirect: "manual",
    headers: { Accept: "application/json" },
  });
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const text = await response.text();
  if (text.length > maxJwksBytes) throw new Error("too large");
  const jwks: unknown = JSON.parse(text);
  if (typeof jwks !== "object" || jwks === null || !Array.isArray((jwks as { keys?: unknown }).keys)) {
    throw new Error("not a JSON Web Key Set");
  }
  return jwks as JSONWebKeySet;
}

function toOutsider(issuer: TrustedIssuer, payload: JWTPayload): Outsider {
  const access =
    issuer.acceptAccess && payload.access !== undefined ? parseAccessClaim(payload.access) : undefined;
  const granted = access === undefined ? grantsOfClaims(issuer, payload) : grantsOfAccess(access);
  const ceiling: Grant[] = issuer.repositories.map((repository) => ({
    repository,
    verbs: ["pull", "push", "delete"],
  }));
  const principal: Principal = {
    account: `oidc:${issuer.issuer}:${payload.sub}`,
    grantSets: [granted, ceiling],
    version: "",
    endsAtMs: Number(payload.exp) * 1000,
  };
  return { principal, access };
}

function grantsOfAccess(access: AccessEntry[]): Grant[] {
  return access
    .filter(({ type }) => type === "repository")
    .map(({ name, actions }) => ({ repository: name, verbs: verbsOf(actions) }));
}
