/**
 * Federated identities: tokens of other issuers, verified against the issuers' own keys, and turned into grants by the
 * rules that `TOKEN_ISSUERS` sets for them.
 */
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { log } from "../../log.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Grant } from "../../oci/grant.ts";
import { grantsOfClaims, type TrustedIssuer } from "../../oci/issuer.ts";
import { type AccessEntry, grantsOfAccess, parseAccessClaim } from "../../oci/scope.ts";
import type { Registry } from "../../registry/registry.ts";
import { readBody } from "../body.ts";
import { federatedAccount, type Principal } from "./principal.ts";

/** Signatures with a public key only: an issuer's published key must never count as a shared secret. */
const algorithms = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/** How far an issuer's clock may be ahead, in seconds. It does not extend a token's expiry. */
const clockToleranceSeconds = 10;

const maxSubjectLength = 255;

/** The identity in a federated token. `access`: the token's own access claim, if its issuer may make one. */
export type FederatedIdentity = { principal: Principal; access: AccessEntry[] | undefined };

/** The issuers of `TOKEN_ISSUERS`. */
export class FederatedIdentities {
  readonly #registry: Registry;
  readonly #keys: IssuerKeys;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#keys = new IssuerKeys(registry);
  }

  /** The issuer that a token names, if it is one of `TOKEN_ISSUERS`; nothing is verified yet. */
  issuerOf(token: string): TrustedIssuer | undefined {
    try {
      const { iss } = decodeJwt(token);
      return this.#registry.settings.issuers.find(({ issuer }) => issuer === iss);
    } catch {
      return undefined;
    }
  }

  /**
   * The principal of a token that is the password of the user `oidc`. Errors: `LOGIN_FAILED`, also if no rule grants
   * the token anything, so that a CI job fails at login with the reason and not at its push; `UNAVAILABLE` as for
   * {@link verify}.
   */
  async exchange(token: string): Promise<Result<{ principal: Principal }>> {
    const issuer = this.issuerOf(token);
    if (issuer === undefined) return failure("LOGIN_FAILED");
    const verified = await this.verify(issuer, token);
    if (!verified.ok) return verified.error === "UNAVAILABLE" ? verified : failure("LOGIN_FAILED");
    const { principal } = verified.identity;
    if (principal.grantSets.some((grants) => grants.length === 0)) {
      return failure("LOGIN_FAILED", "the token is genuine, but no rule of its issuer grants it anything");
    }
    return { ok: true, principal };
  }

  /** Verifies a token of this issuer. Errors: `TOKEN_INVALID`; `UNAVAILABLE` if its keys cannot be fetched. */
  async verify(issuer: TrustedIssuer, token: string): Promise<Result<{ identity: FederatedIdentity }>> {
    // An unknown key may be a new one: fetch again.
    const payload =
      (await this.#payload(issuer, token, freshMs)) ?? (await this.#payload(issuer, token, askAgainMs));
    if (payload === "no keys")
      return failure("UNAVAILABLE", `the keys of ${issuer.issuer} cannot be fetched`);
    const identity =
      payload === undefined || payload === "invalid"
        ? undefined
        : toIdentity(issuer, payload, this.#registry.clock.now());
    // "https://a" with the subject "8443:x" has the name of the subject "x" of "https://a:8443".
    if (identity === undefined || this.#issuerOfAccount(identity.principal.account) !== issuer)
      return failure("TOKEN_INVALID");
    return { ok: true, identity };
  }

  /**
   * The most that a subject, named as by {@link federatedAccount}, can be granted under the current settings: nothing
   * if its issuer is no longer trusted.
   */
  reload(account: string): Principal {
    const issuer = this.#issuerOfAccount(account);
    return { account, grantSets: [issuer === undefined ? [] : ceilingOf(issuer)], version: "" };
  }

  /** The issuer in the name of an account; where the names of several begin it, the longest. */
  #issuerOfAccount(account: string): TrustedIssuer | undefined {
    return this.#registry.settings.issuers
      .filter(({ issuer }) => account.startsWith(federatedAccount(issuer, "")))
      .toSorted((one, other) => other.issuer.length - one.issuer.length)[0];
  }

  /**
   * The verified payload of a token. Uses keys of at most this age; `undefined` if the token's key is not among them.
   */
  async #payload(
    issuer: TrustedIssuer,
    token: string,
    maxAgeMs: number,
  ): Promise<JWTPayload | "invalid" | "no keys" | undefined> {
    const jwks = await this.#keys.of(issuer, maxAgeMs);
    if (jwks === undefined) return "no keys";
    try {
      const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
        algorithms,
        issuer: issuer.issuer,
        audience: issuer.audience,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(this.#registry.clock.now()),
        requiredClaims: ["sub", "exp"],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return undefined;
      // No request is made here, so an error is about the token or, rarely, about a broken key of the issuer.
      if (!(error instanceof errors.JOSEError)) {
        log("warn", "key not usable", { issuer: issuer.issuer, error: String(error) });
      }
      return "invalid";
    }
  }
}

/** The most that tokens of an issuer can be granted. */
function ceilingOf({ repositories }: TrustedIssuer): Grant[] {
  return repositories.map((repository) => ({ repository, verbs: ["pull", "push", "delete"] }));
}

/** `undefined` when the token has expired, or its subject is not a usable name. */
function toIdentity(issuer: TrustedIssuer, payload: JWTPayload, now: number): FederatedIdentity | undefined {
  const endsAtMs = Number(payload.exp) * 1000;
  // jose takes any JSON for a subject.
  const subject: unknown = payload.sub;
  if (endsAtMs <= now || typeof subject !== "string" || subject.length > maxSubjectLength) return undefined;
  const access =
    issuer.acceptAccess && payload.access !== undefined ? parseAccessClaim(payload.access) : undefined;
  const granted = access === undefined ? grantsOfClaims(issuer, payload) : grantsOfAccess(access);
  const principal: Principal = {
    account: federatedAccount(issuer.issuer, subject),
    grantSets: [granted, ceilingOf(issuer)],
    version: "",
    endsAtMs,
  };
  return { principal, access };
}

/** How long fetched keys are used without asking again, in milliseconds. */
const freshMs = 10 * 60_000;

/** The time between two fetches while earlier keys of the issuer can be used, in milliseconds. */
const askAgainMs = 30_000;

/** The time between a failed fetch and the next while there are no keys of the issuer, in milliseconds. */
const retryMs = 2_000;

/** How long a fetch of keys may take, and how large they may be. */
const fetchTimeoutMs = 5_000;
const maxJwksBytes = 256 * 1024;

type KeptKeys = { jwks: JSONWebKeySet; fetchedAt: number };

/** The public keys of other issuers, cached in an isolate. If new ones cannot be fetched, the last ones stay in use. */
class IssuerKeys {
  readonly #registry: Registry;
  readonly #kept = new Map<string, KeptKeys>();
  readonly #askedAt = new Map<string, number>();
  readonly #failedAt = new Map<string, number>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /**
   * An issuer's keys of at most this age; older ones if new ones cannot be fetched; `undefined` if there are none.
   *
   * Each request fetches for itself: it must not wait for the I/O of another request, which ends with its client. While
   * there are earlier keys, only one request fetches at a time.
   */
  async of(issuer: TrustedIssuer, maxAgeMs: number): Promise<JSONWebKeySet | undefined> {
    if (issuer.jwksUrl === undefined) return { keys: issuer.keys ?? [] } as JSONWebKeySet;
    const name = issuer.issuer;
    const now = this.#registry.clock.now();
    const kept = this.#kept.get(name);
    if (kept === undefined) {
      if (isWithin(retryMs, this.#failedAt.get(name), now)) return undefined;
    } else if (
      isWithin(maxAgeMs, kept.fetchedAt, now) ||
      isWithin(askAgainMs, this.#askedAt.get(name), now)
    ) {
      return kept.jwks;
    }
    this.#askedAt.set(name, now);
    try {
      const jwks = await fetchJwks(issuer.jwksUrl);
      this.#kept.set(name, { jwks, fetchedAt: now });
      return jwks;
    } catch (error) {
      this.#failedAt.set(name, now);
      log("warn", "keys not fetched", { issuer: name, error: String(error) });
      return kept?.jwks;
    }
  }
}

function isWithin(milliseconds: number, since: number | undefined, now: number): boolean {
  return since !== undefined && now - since < milliseconds;
}

async function fetchJwks(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(fetchTimeoutMs),
    redirect: "manual",
    headers: { Accept: "application/json" },
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const body = await readBody(response.body, undefined, maxJwksBytes);
  if (!body.ok) throw new Error(body.reason);
  const jwks: unknown = JSON.parse(new TextDecoder().decode(body.bytes));
  if (!isKeySet(jwks)) throw new Error("not a JSON Web Key Set");
  return jwks;
}

/** An empty set must not replace a good one. */
function isKeySet(value: unknown): value is JSONWebKeySet {
  if (typeof value !== "object" || value === null) return false;
  const { keys } = value as { keys?: unknown };
  return (
    Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === "object" && key !== null)
  );
}
