/**
 * Tokens of other issuers: verified against their own keys, and turned into grants by the rules set for them.
 */
import { createLocalJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { failure, type Result } from "../../oci/errors.ts";
import type { Grant } from "../../oci/grant.ts";
import { grantsOfClaims, type TrustedIssuer } from "../../oci/issuer.ts";
import { type AccessEntry, grantsOfAccess, parseAccessClaim } from "../../oci/scope.ts";
import type { Registry } from "../../registry/registry.ts";
import { askAgainMs, freshMs, IssuerKeys } from "./issuer-keys.ts";
import { outsiderAccount, type Principal } from "./principal.ts";

/** Signatures with a public key only: an issuer's published key must never count as a shared secret. */
const algorithms = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/** How far an issuer's clock may be ahead, in seconds. A token's end is taken as it is. */
const clockToleranceSeconds = 10;

const maxSubjectLength = 255;

/** What a token of another issuer comes to. `access`: what it says itself, where its issuer may say that. */
export type Outsider = { principal: Principal; access: AccessEntry[] | undefined };

/** The issuers of `TOKEN_ISSUERS`. */
export class Outsiders {
  readonly #registry: Registry;
  readonly #keys: IssuerKeys;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#keys = new IssuerKeys(registry);
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

  /**
   * Who shows a token as password of the user `oidc`. Errors: `LOGIN_FAILED`, also for a token that may nothing here:
   * its job fails at its log-in, where it is told why, and not in its push; `UNAVAILABLE` as for {@link verify}.
   */
  async exchange(token: string): Promise<Result<{ principal: Principal }>> {
    const issuer = this.issuerOf(token);
    if (issuer === undefined) return failure("LOGIN_FAILED");
    const verified = await this.verify(issuer, token);
    if (!verified.ok) return verified.error === "UNAVAILABLE" ? verified : failure("LOGIN_FAILED");
    const { principal } = verified.outsider;
    if (principal.grantSets.some((grants) => grants.length === 0)) {
      return failure("LOGIN_FAILED", "the token is genuine, but no rule of its issuer grants it anything");
    }
    return { ok: true, principal };
  }

  /** Verifies a token of this issuer. Errors: `TOKEN_INVALID`; `UNAVAILABLE` when its keys cannot be had. */
  async verify(issuer: TrustedIssuer, token: string): Promise<Result<{ outsider: Outsider }>> {
    // A key that is not known may be a new one.
    const payload =
      (await this.#payload(issuer, token, freshMs)) ?? (await this.#payload(issuer, token, askAgainMs));
    if (payload === "no keys")
      return failure("UNAVAILABLE", `the keys of ${issuer.issuer} cannot be fetched`);
    const outsider =
      payload === undefined || payload === "invalid"
        ? undefined
        : toOutsider(issuer, payload, this.#registry.clock.now());
    return outsider === undefined ? failure("TOKEN_INVALID") : { ok: true, outsider };
  }

  /**
   * How far a subject, named as {@link outsiderAccount} names it, may reach at most by the issuers of today: nowhere
   * when its own is trusted no more.
   */
  recall(account: string): Principal {
    const { issuers } = this.#registry.settings;
    const own = issuers.filter(({ issuer }) => account.startsWith(outsiderAccount(issuer, "")));
    return { account, grantSets: [own.flatMap(ceilingOf)], version: "" };
  }

  /** What a token says, by keys at most so old; `undefined` when its key is none of them. */
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
      // Nothing is asked for here, so whatever is thrown is about the token or, rarely, an issuer's broken key.
      if (!(error instanceof errors.JOSEError)) {
        console.warn(
          JSON.stringify({ event: "key not usable", issuer: issuer.issuer, error: String(error) }),
        );
      }
      return "invalid";
    }
  }
}

/** The most that tokens of an issuer can be granted. */
function ceilingOf({ repositories }: TrustedIssuer): Grant[] {
  return repositories.map((repository) => ({ repository, verbs: ["pull", "push", "delete"] }));
}

/** `undefined` when the token has ended, or its subject is no name. */
function toOutsider(issuer: TrustedIssuer, payload: JWTPayload, now: number): Outsider | undefined {
  const endsAtMs = Number(payload.exp) * 1000;
  // jose takes any JSON for a subject.
  const subject: unknown = payload.sub;
  if (endsAtMs <= now || typeof subject !== "string" || subject.length > maxSubjectLength) return undefined;
  const access =
    issuer.acceptAccess && payload.access !== undefined ? parseAccessClaim(payload.access) : undefined;
  const granted = access === undefined ? grantsOfClaims(issuer, payload) : grantsOfAccess(access);
  const principal: Principal = {
    account: outsiderAccount(issuer.issuer, subject),
    grantSets: [granted, ceilingOf(issuer)],
    version: "",
    endsAtMs,
  };
  return { principal, access };
}
