/**
 * Limits on failures: of logins, and of requests for what does not exist.
 */

import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import { networkOf } from "../../oci/address.ts";
import { ExpiringLru } from "../../registry/caches.ts";

/** How long a caller is refused after reaching a limit, in milliseconds: the period of the limits. */
const refusalMs = 60_000;

/** The name of a network in the keys of limits. Callers with an unknown address are counted together. */
export function networkName(address: string): string {
  return networkOf(address) ?? "unknown";
}

/** The limits per minute where the platform does not count; the same as in wrangler.toml. */
export const perMinute = { LOGIN_FAILURES: 10, ADDRESS_LOGIN_FAILURES: 100, ANONYMOUS_MISSES: 300 };

type LimitName = keyof typeof perMinute;

/** A rate limit in the isolate's memory, for one machine, where there is only one isolate. */
export class MemoryLimit {
  readonly #most: number;
  /** The most recent keys, about 3,500 of them. */
  readonly #counts: ExpiringLru<{ count: number }>;

  constructor(most: number, clock: Clock) {
    this.#most = most;
    this.#counts = new ExpiringLru(clock, 1024 * 1024, () => 300);
  }

  /** Counts a key. `success` is false once it was counted too often within a minute. */
  async limit({ key }: { key: string }): Promise<{ success: boolean }> {
    const known = this.#counts.get(key);
    const counted = known ?? { count: 0 };
    counted.count++;
    if (known === undefined) this.#counts.set(key, counted, refusalMs);
    return { success: counted.count <= this.#most };
  }
}

/**
 * Counts failures by a key, in a rate limit of the platform or in memory. A key over the limit is refused for a while
 * without further checks or counting. Successes are never counted.
 */
export class FailureLimit {
  readonly #limit: Pick<RateLimit, "limit">;
  readonly #refused: ExpiringLru<true>;

  constructor(bound: Pick<Env, LimitName>, name: LimitName, clock: Clock) {
    this.#limit = bound[name] ?? new MemoryLimit(perMinute[name], clock);
    this.#refused = new ExpiringLru(clock, 1024 * 1024, () => 300);
  }

  /** Whether this key is refused now. */
  isReached(key: string): boolean {
    return this.#refused.has(key);
  }

  /** Counts a failure. Returns whether the key is refused from here on. */
  async count(key: string): Promise<boolean> {
    // If the platform fails to count, the caller is not refused.
    const { success } = await this.#limit.limit({ key }).catch(() => ({ success: true }));
    if (!success) this.#refused.set(key, true, refusalMs);
    return !success;
  }
}
