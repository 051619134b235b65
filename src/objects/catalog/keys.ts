/**
 * The registry's secrets, as the catalog keeps them: the secret of upload sessions, and the keys that sign tokens.
 */
import { exportJWK, generateKeyPair } from "jose";
import type { Clock } from "../../clock.ts";
import type { SigningKey } from "../../rpc/api.ts";
import { day } from "../../units.ts";
import { firstRow, oneRow, readRows, type TransactionalStorage, type Tx, transaction } from "../sql.ts";

/** How long a key signs, in milliseconds. */
const signingMs = 30 * day;

/** Secrets and signing keys in SQL. */
export class Keys {
  readonly #storage: TransactionalStorage;
  readonly #clock: Clock;
  readonly #verifyingMs: number;

  /** `tokenTtlMs`: the longest that anything lives that a key signs. */
  constructor(storage: TransactionalStorage, clock: Clock, tokenTtlMs: number) {
    this.#storage = storage;
    this.#clock = clock;
    this.#verifyingMs = signingMs + tokenTtlMs + day;
  }

  /** The secret of upload sessions; made where there is none. */
  sessionSecret(): Uint8Array {
    const query = "SELECT value FROM secrets WHERE name = 'session'";
    const kept = firstRow<{ value: ArrayBuffer }>(this.#storage.sql, query);
    if (kept !== undefined) return new Uint8Array(kept.value);
    const secret = crypto.getRandomValues(new Uint8Array(32));
    transaction(this.#storage, (tx) => {
      tx.write("INSERT INTO secrets (name, value) VALUES ('session', ?)", secret);
    });
    return secret;
  }

  /** The keys, newest first. A new one is made where there is none, or the newest is too old. */
  async current(): Promise<SigningKey[]> {
    const newest = this.#newestAt();
    return newest === undefined || newest + signingMs < this.#clock.now() ? this.rotate() : this.#all();
  }

  /** Makes a new key. Those before it verify for as long as anything lives that they may have signed. */
  async rotate(): Promise<SigningKey[]> {
    const before = this.#newestAt();
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const [privateJwk, publicJwk] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)]);
    // Another call may have made one while this one was being made; one is enough.
    if (this.#newestAt() === before) {
      transaction(this.#storage, (tx) => this.#add(tx, { kid: crypto.randomUUID(), privateJwk, publicJwk }));
    }
    return this.#all();
  }

  #add(tx: Tx, { kid, privateJwk, publicJwk }: SigningKey): void {
    const now = this.#clock.now();
    const shared = { kid, alg: "EdDSA", use: "sig" };
    tx.write(
      "INSERT INTO signing_keys (kid, private_jwk, public_jwk, created_at) VALUES (?, ?, ?, ?)",
      kid,
      JSON.stringify({ ...privateJwk, ...shared }),
      JSON.stringify({ ...publicJwk, ...shared }),
      Math.max(now, (this.#newestAt() ?? 0) + 1),
    );
    tx.write("DELETE FROM signing_keys WHERE created_at < ?", now - this.#verifyingMs);
  }

  #newestAt(): number | undefined {
    const query = "SELECT max(created_at) AS at FROM signing_keys";
    return oneRow<{ at: number | null }>(this.#storage.sql, query).at ?? undefined;
  }

  #all(): SigningKey[] {
    const rows = readRows<{ kid: string; private_jwk: string; public_jwk: string }>(
      this.#storage.sql,
      "SELECT kid, private_jwk, public_jwk FROM signing_keys ORDER BY created_at DESC",
    );
    return rows.map(({ kid, private_jwk, public_jwk }) => ({
      kid,
      privateJwk: JSON.parse(private_jwk),
      publicJwk: JSON.parse(public_jwk),
    }));
  }
}
