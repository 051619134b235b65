/**
 * Passwords and generated tokens: making, keeping and checking them.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../clock.ts";
import { ExpiringLru } from "../../registry/caches.ts";
import type { PasswordHash } from "../../rpc/api.ts";

/** The most that the platform accepts. OWASP recommends more, so generated tokens are the better choice. */
const iterations = 100_000;

/** How long a right password is remembered in this isolate without hashing it again, in milliseconds. */
const rememberedMs = 60_000;

/** Hashes a password for keeping. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, iterations);
  return { salt: salt.toString("base64url"), hash: hash.toString("base64url"), iterations };
}

async function derive(password: string, salt: Uint8Array, rounds: number): Promise<Buffer> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const bits = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds },
    key,
    256,
  );
  return Buffer.from(bits);
}

/** A hash that no password has, for accounts that do not exist: checking them must take the same time. */
const nobody: PasswordHash = { salt: "AAAAAAAAAAAAAAAAAAAAAA", hash: "", iterations };

/** Checks passwords. Right ones are remembered as an HMAC with a key that exists only in this isolate. */
export class PasswordChecker {
  readonly #remembered: ExpiringLru<true>;
  #key: Buffer | undefined;

  constructor(clock: Clock) {
    this.#remembered = new ExpiringLru(clock, 1024 * 1024, () => 150);
  }

  /** Whether this password was found to be right within the last minute. Takes no derivation. */
  isRemembered(password: string, kept: PasswordHash | undefined): boolean {
    return kept !== undefined && this.#remembered.has(this.#memoryOf(password, kept));
  }

  /** Whether this is the password. For an account without one (`undefined`) it takes as long, and the answer is no. */
  async isRight(password: string, kept: PasswordHash | undefined): Promise<boolean> {
    if (this.isRemembered(password, kept)) return true;
    const { salt, hash, iterations: rounds } = kept ?? nobody;
    const derived = await derive(password, Buffer.from(salt, "base64url"), rounds);
    const isRight = kept !== undefined && this.isSame(derived.toString("base64url"), hash);
    if (isRight) this.#remembered.set(this.#memoryOf(password, kept), true, rememberedMs);
    return isRight;
  }

  #memoryOf(password: string, { salt, hash }: PasswordHash): string {
    return this.#keyed(`${salt}\n${hash}\n${password}`).toString("base64");
  }

  /** Compares two secrets in constant time. */
  isSame(one: string, other: string): boolean {
    return timingSafeEqual(this.#keyed(one), this.#keyed(other));
  }

  #keyed(text: string): Buffer {
    this.#key ??= randomBytes(32);
    return createHmac("sha256", this.#key).update(text).digest();
  }
}

/** The prefix of generated tokens. */
export const tokenPrefix = "stw_";

const checksumLength = 6;

/** A new secret of 256 bits, with a checksum by which scanners recognise it: `stw_<43 characters><6 characters>`. */
export function generateSecret(): string {
  const secret = randomBytes(32).toString("base64url");
  return tokenPrefix + secret + checksum(secret);
}

/** Whether a text has the form of a generated secret, checksum included. */
export function isGeneratedSecret(text: string): boolean {
  if (!/^stw_[A-Za-z0-9_-]{49}$/.test(text)) return false;
  const body = text.slice(tokenPrefix.length);
  return checksum(body.slice(0, -checksumLength)) === body.slice(-checksumLength);
}

/** The hash under which a generated secret is stored. It has 256 random bits, so a plain hash is enough. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function checksum(secret: string): string {
  return createHash("sha256").update(`stowage ${secret}`).digest("base64url").slice(0, checksumLength);
}
