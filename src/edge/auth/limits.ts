/**
 * Limits on trying: failed logins, and what callers ask for in vain.
 */
import type { Clock } from "../../env.ts";
import { ByteLru } from "../../registry/lru.ts";

/** How long a caller is refused once the limit was reached, in milliseconds: the period of the limits. */
const refusalMs = 60_000;

/** What a network is called in the keys of limits. All whose address is not known are counted together. */
export function networkName(network: string | undefined): string {
  return network ?? "unknown";
}

/**
 * Counts failures by a key, in a rate limit of the platform. A key over the limit is refused for a while without
 * being looked at, and without being counted. Successes are never counted.
 */
export class FailureLimit {
  readonly #limit: RateLimit | undefined;
  readonly #clock: Clock;
  readonly #refusedUntil = new ByteLru<number>(1024 * 1024, () => 300);

  constructor(limit: RateLimit | undefined, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Whether this key is refused now. */
  isReached(key: string): boolean {
    return (this.#refusedUntil.get(key) ?? 0) > this.#clock.now();
  }

  /** Counts a failure. Returns whether the key is refused from here on. */
  async count(key: string): Promise<boolean> {
    if (this.#limit === undefined) return false;
    // Where the platform cannot count, nobody is refused for it.
    const { success } = await this.#limit.limit({ key }).catch(() => ({ success: true }));
    if (!success) this.#refusedUntil.set(key, this.#clock.now() + refusalMs);
    return !success;
  }
}
