/**
 * The registry's own tokens: short-lived ones that say what they grant, and refresh tokens that say only whose they
 * are. Source: Docker Registry v2 authentication, "Token Authentication Implementation"; RFC 9068 for `at+jwt`.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { failure, type Result } from "../../oci/errors.ts";
import { type AccessEntry, parseAccessClaim } from "../../oci/scope.ts";
import type { Registry } from "../../registry/registry.ts";
import type { KeyRing } from "./key-ring.ts";
import type { Principal } from "./principal.ts";

const accessType = "at+jwt";
const refreshType = "rt+jwt";

/** How far the clock that issued a token may be ahead, in seconds. A token's end is taken as it is. */
const clockToleranceSeconds = 10;

/** What a token says. `isExpired`: it is genuine, but its time is over. */
export type TokenClaims = {
  account: string;
  tokenId: string | undefined;
  access: AccessEntry[];
  expiresAtMs: number;
  isExpired: boolean;
};

/** What a refresh token says. */
export type RefreshClaims = { account: string; tokenId: string | undefined; version: string };

/** A token, and how long it lives. */
export type IssuedToken = { token: string; expiresInSeconds: number; issuedAt: string };

/** Issues a token that grants `access`, for `TOKEN_TTL` or as long as what was shown for it lives. */
export async function issueAccessToken(
  registry: Registry,
  keys: KeyRing,
  principal: Pick<Principal, "account" | "tokenId" | "endsAtMs">,
  access: AccessEntry[],
): Promise<IssuedToken> {
  const now = registry.clock.now();
  const endsAt = Math.min(now + registry.settings.tokenTtlMs, principal.endsAtMs ?? Number.POSITIVE_INFINITY);
  const token = await sign(registry, keys, accessType, principal, [now, endsAt], { access });
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
  return sign(registry, keys, refreshType, principal, [now, endsAt], { ver: principal.version });
}

/** Signs a token that lives from the first time to the second, in milliseconds since 1970. */
async function sign(
  { settings }: Registry,
  keys: KeyRing,
  typ: string,
  { account, tokenId }: Pick<Principal, "account" | "tokenId">,
  lifetimeMs: [number, number],
  claims: Record<string, unknown>,
): Promise<string> {
  const { kid, key } = await keys.signer();
  const [begin, end] = lifetimeMs.map((time) => Math.floor(time / 1000)) as [number, number];
  return new SignJWT({ ...claims, ...(tokenId === undefined ? {} : { tid: tokenId }) })
    .setProtectedHeader({ alg: "EdDSA", kid, typ })
    .setIssuer(settings.service)
    .setAudience(settings.service)
    .setSubject(account)
    .setIssuedAt(begin)
    .setNotBefore(begin)
    .setExpirationTime(end)
    .setJti(crypto.randomUUID())
    .sign(key);
}

/** Verifies a token. Error: `TOKEN_INVALID`. One that was genuine and has expired is told apart. */
export async function verifyAccessToken(
  registry: Registry,
  keys: KeyRing,
  token: string,
): Promise<Result<{ claims: TokenClaims }>> {
  const verified = await verify(registry, keys, token, accessType);
  if (!verified.ok) return verified;
  const { payload, isExpired } = verified;
  const claims: TokenClaims = {
    account: String(payload.sub ?? ""),
    tokenId: typeof payload.tid === "string" ? payload.tid : undefined,
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
  const verified = await verify(registry, keys, token, refreshType);
  if (!verified.ok || verified.isExpired) return failure("TOKEN_INVALID");
  const { sub, tid, ver } = verified.payload;
  const tokenId = typeof tid === "string" ? tid : undefined;
  return { ok: true, claims: { account: String(sub ?? ""), tokenId, version: String(ver ?? "") } };
}

type Verified = { payload: Record<string, unknown>; isExpired: boolean };

async function verify(
  registry: Registry,
  keys: KeyRing,
  token: string,
  typ: string,
): Promise<Result<Verified>> {
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
    return { ok: true, payload, isExpired: Number(payload.exp) * 1000 <= clock.now() };
  } catch (error) {
    // jose checks the signature, and every claim but the time, before it says so.
    if (error instanceof errors.JWTExpired) return { ok: true, payload: error.payload, isExpired: true };
    if (error instanceof errors.JOSEError) return failure("TOKEN_INVALID");
    throw error;
  }
}
