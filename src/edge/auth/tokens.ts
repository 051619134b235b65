/**
 * The registry's own tokens: short-lived bearer tokens with their access, and refresh tokens with their account only.
 * Source: Docker Registry v2 authentication, "Token Authentication Implementation"; RFC 9068 for `at+jwt`.
 */
import { errors, importJWK, type JWK, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { failure, type Result } from "../../oci/errors.ts";
import { type AccessEntry, parseAccessClaim } from "../../oci/scope.ts";
import type { Registry } from "../../registry/registry.ts";
import type { SigningKey } from "../../rpc/api.ts";
import { maxRefreshTtlMs, maxTokenTtlMs } from "../../settings/table.ts";
import type { Principal } from "./principal.ts";

/** A kind of token: its `typ`, and the longest lifetime that any setting allows. */
type Kind = { typ: string; maxLifeMs: number };

const accessKind: Kind = { typ: "at+jwt", maxLifeMs: maxTokenTtlMs };
const refreshKind: Kind = { typ: "rt+jwt", maxLifeMs: maxRefreshTtlMs };

/** How far the clock that issued a token may be ahead, in seconds. It does not extend a token's expiry. */
const clockToleranceSeconds = 10;

/**
 * The claims of every token: its account, and the credentials that it was issued for. Anonymous tokens, and bearer
 * tokens of earlier releases, have no version.
 */
export type RefreshClaims = { account: string; tokenId: string | undefined; version: string | undefined };

/** The claims of a bearer token. `isExpired`: it is genuine, but has expired. */
export type TokenClaims = RefreshClaims & { access: AccessEntry[]; expiresAtMs: number; isExpired: boolean };

/** A token and its lifetime. */
export type IssuedToken = { token: string; expiresInSeconds: number; issuedAt: string };

/**
 * Issues a token that grants `access`, anonymously without a principal, for `TOKEN_TTL` or until the credential that
 * was presented expires.
 */
export async function issueAccessToken(
  registry: Registry,
  keys: KeyRing,
  principal: Principal | undefined,
  access: AccessEntry[],
): Promise<IssuedToken> {
  const now = registry.clock.now();
  const endsAt = Math.min(
    now + registry.settings.tokenTtlMs,
    principal?.endsAtMs ?? Number.POSITIVE_INFINITY,
  );
  const token = await sign(registry, keys, accessKind, principal, [now, endsAt], { access });
  const expiresInSeconds = Math.max(1, Math.floor((endsAt - now) / 1000));
  return { token, expiresInSeconds, issuedAt: new Date(now).toISOString() };
}

/** Issues a refresh token. */
export function issueRefreshToken(registry: Registry, keys: KeyRing, principal: Principal): Promise<string> {
  const now = registry.clock.now();
  const endsAt = Math.min(
    now + registry.settings.refreshTtlMs,
    principal.endsAtMs ?? Number.POSITIVE_INFINITY,
  );
  return sign(registry, keys, refreshKind, principal, [now, endsAt]);
}

/** Signs a token that is valid from the first time to the second, in milliseconds since 1970. */
async function sign(
  { settings }: Registry,
  keys: KeyRing,
  { typ }: Kind,
  principal: Principal | undefined,
  lifetimeMs: [number, number],
  claims: { access?: AccessEntry[] } = {},
): Promise<string> {
  const { kid, key } = await keys.signer();
  const [begin, end] = lifetimeMs.map((time) => Math.floor(time / 1000)) as [number, number];
  // JSON leaves undefined claims out.
  return new SignJWT({ ...claims, tid: principal?.tokenId, ver: principal?.version })
    .setProtectedHeader({ alg: "EdDSA", kid, typ })
    .setIssuer(settings.service)
    .setAudience(settings.service)
    .setSubject(principal?.account ?? "")
    .setIssuedAt(begin)
    .setNotBefore(begin)
    .setExpirationTime(end)
    .setJti(crypto.randomUUID())
    .sign(key);
}

/** Verifies a token. Error: `TOKEN_INVALID`. A genuine token that has expired is marked as such. */
export async function verifyAccessToken(
  registry: Registry,
  keys: KeyRing,
  token: string,
): Promise<Result<{ claims: TokenClaims }>> {
  const verified = await verify(registry, keys, token, accessKind);
  if (!verified.ok) return verified;
  const { payload, isExpired } = verified;
  const claims: TokenClaims = {
    ...holderOf(payload),
    access: parseAccessClaim(payload.access),
    expiresAtMs: Number(payload.exp) * 1000,
    isExpired,
  };
  return { ok: true, claims };
}

/** Verifies a refresh token. Error: `TOKEN_INVALID`. */
export async function verifyRefreshToken(
  registry: Registry,
  keys: KeyRing,
  token: string,
): Promise<Result<{ claims: RefreshClaims }>> {
  const verified = await verify(registry, keys, token, refreshKind);
  if (!verified.ok || verified.isExpired) return failure("TOKEN_INVALID");
  return { ok: true, claims: holderOf(verified.payload) };
}

function holderOf({ sub, tid, ver }: JWTPayload): RefreshClaims {
  return { account: String(sub ?? ""), tokenId: textIn(tid), version: textIn(ver) };
}

function textIn(claim: unknown): string | undefined {
  return typeof claim === "string" ? claim : undefined;
}

type Verified = { payload: JWTPayload; isExpired: boolean };

async function verify(
  registry: Registry,
  keys: KeyRing,
  token: string,
  kind: Kind,
): Promise<Result<Verified>> {
  const payload = await verifySignature(registry, keys, token, kind);
  const now = registry.clock.now();
  return payload !== undefined && isAsIssued(payload, kind, now)
    ? { ok: true, payload, isExpired: Number(payload.exp) * 1000 <= now }
    : failure("TOKEN_INVALID");
}

/**
 * Whether the registry could have issued this token by now, under any setting. A token forged with a leaked key could
 * claim a lifetime of years, whatever becomes of its account.
 */
function isAsIssued({ iat = 0, exp = 0 }: JWTPayload, { maxLifeMs }: Kind, now: number): boolean {
  return iat * 1000 <= now + clockToleranceSeconds * 1000 && (exp - iat) * 1000 <= maxLifeMs;
}

/** The claims of a token that the registry has signed, whether it has expired or not. */
async function verifySignature(
  registry: Registry,
  keys: KeyRing,
  token: string,
  { typ }: Kind,
): Promise<JWTPayload | undefined> {
  const { settings, clock } = registry;
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = kid === undefined ? undefined : await keys.verifier(kid);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      {
        algorithms: ["EdDSA"],
        issuer: settings.service,
        audience: settings.service,
        typ,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.now()),
        requiredClaims: ["sub", "exp", "nbf", "iat"],
      },
    );
    return payload;
  } catch (error) {
    // jose checks the signature and all other claims before it reports that a token has expired.
    if (error instanceof errors.JWTExpired) return error.payload;
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** How long the keys are cached, in milliseconds. */
const freshMs = 5 * 60_000;

/**
 * The time between two calls to the catalog for an unknown key, in milliseconds. Short, as another isolate may have
 * created the key since, and its tokens are valid at once.
 */
const askAgainMs = 1_000;

type Ring = {
  signer: { kid: string; key: CryptoKey };
  verifiers: Map<string, CryptoKey>;
  publicJwks: object[];
  readAt: number;
};

/** The signing keys, cached. In steady state there are no calls to the catalog. */
export class KeyRing {
  readonly #registry: Registry;
  #ring: Ring | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The key to sign with, and its name. */
  async signer(): Promise<{ kid: string; key: CryptoKey }> {
    return (await this.#current(freshMs)).signer;
  }

  /** The key of this name; `undefined` if the registry has none. */
  async verifier(kid: string): Promise<CryptoKey | undefined> {
    const known = (await this.#current(Number.POSITIVE_INFINITY)).verifiers.get(kid);
    return known ?? (await this.#current(askAgainMs)).verifiers.get(kid);
  }

  /** The public halves, as JWKs. */
  async publicJwks(): Promise<object[]> {
    return (await this.#current(freshMs)).publicJwks;
  }

  /** Caches keys that were just created. */
  async replace(keys: SigningKey[]): Promise<void> {
    this.#ring = await importRing(keys, this.#registry.clock.now());
  }

  async #current(maxAgeMs: number): Promise<Ring> {
    const now = this.#registry.clock.now();
    if (this.#ring !== undefined && now - this.#ring.readAt < maxAgeMs) return this.#ring;
    this.#ring = await importRing(await this.#registry.catalog().signingKeys(), now);
    return this.#ring;
  }
}

async function importRing(keys: SigningKey[], readAt: number): Promise<Ring> {
  const [newest] = keys;
  if (newest === undefined) throw new Error("the catalog has no signing key");
  const verifiers = await Promise.all(
    keys.map(async ({ kid, publicJwk }) => [kid, await importEdDsa(publicJwk)] as const),
  );
  return {
    signer: { kid: newest.kid, key: await importEdDsa(newest.privateJwk) },
    verifiers: new Map(verifiers),
    publicJwks: keys.map((key) => key.publicJwk),
    readAt,
  };
}

async function importEdDsa(jwk: object): Promise<CryptoKey> {
  return (await importJWK(jwk as JWK, "EdDSA")) as CryptoKey;
}
