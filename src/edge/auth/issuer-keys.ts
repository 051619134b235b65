/**
 * The public keys of other issuers, as an isolate keeps them.
 */
import type { JSONWebKeySet } from "jose";
import type { TrustedIssuer } from "../../oci/issuer.ts";
import type { Registry } from "../../registry/registry.ts";
import { readBody } from "../read-body.ts";

/** How long keys are taken to be all there are, in milliseconds. */
export const freshMs = 10 * 60_000;

/** How soon an issuer is asked again, while there are keys to go on with, in milliseconds. */
export const askAgainMs = 30_000;

/** How soon an issuer is asked again that gave no keys, while there are none, in milliseconds. */
const retryMs = 2_000;

/** How long a fetch of keys may take, and how large they may be. */
const fetchTimeoutMs = 5_000;
const maxJwksBytes = 256 * 1024;

type KeptKeys = { jwks: JSONWebKeySet; fetchedAt: number };

/** The keys. Where new ones cannot be had, the last good ones go on. */
export class IssuerKeys {
  readonly #registry: Registry;
  readonly #kept = new Map<string, KeptKeys>();
  readonly #askedAt = new Map<string, number>();
  readonly #failedAt = new Map<string, number>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /**
   * An issuer's keys, at most so old; older ones if new ones cannot be had now; `undefined` if there are none at all.
   *
   * Each request fetches for itself, so that none waits for another's I/O, which ends with its client. While there
   * are keys to go on with, one does at a time.
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
      console.warn(JSON.stringify({ event: "keys not fetched", issuer: name, error: String(error) }));
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

/** A set without keys is none to replace good ones with. */
function isKeySet(value: unknown): value is JSONWebKeySet {
  if (typeof value !== "object" || value === null) return false;
  const { keys } = value as { keys?: unknown };
  return (
    Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === "object" && key !== null)
  );
}
