/**
 * The registry's own signing keys, as an isolate keeps them.
 */
import { importJWK, type JWK } from "jose";
import type { SigningKey } from "../../objects/api.ts";
import type { Registry } from "../../registry/registry.ts";

/** How long the keys are taken to be all there are, in milliseconds. */
const freshMs = 5 * 60_000;

/**
 * How soon the catalog is asked again for a key that it did not have, in milliseconds. Short: a key may have been
 * made elsewhere since, and its tokens are good at once.
 */
const askAgainMs = 1_000;

type Ring = {
  signer: { kid: string; key: CryptoKey };
  verifiers: Map<string, CryptoKey>;
  publicJwks: object[];
  readAt: number;
};

/** The keys. In steady state nothing is asked. */
export class KeyRing {
  readonly #registry: Registry;
  #ring: Ring | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The key that signs, and its name. */
  async signer(): Promise<{ kid: string; key: CryptoKey }> {
    return (await this.#current(freshMs)).signer;
  }

  /** The key of this name; `undefined` when it is none of the registry's. */
  async verifier(kid: string): Promise<CryptoKey | undefined> {
    const known = (await this.#current(Number.POSITIVE_INFINITY)).verifiers.get(kid);
    return known ?? (await this.#current(askAgainMs)).verifiers.get(kid);
  }

  /** The public halves, as JWKs. */
  async publicJwks(): Promise<object[]> {
    return (await this.#current(freshMs)).publicJwks;
  }

  /** Takes keys that were just made. */
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
