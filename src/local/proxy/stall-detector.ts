/** Whether a client is too slow. */
import type { ProxyLimits } from "./limits.ts";

/**
 * The party that a request waits for: its client, which sends a wanted or an unwanted body, or reads the answer; or
 * workerd.
 */
export type Wait = "body" | "drain" | "answer" | "workerd";

/** Compares byte counts with those of its last check. Times are milliseconds on a monotonic clock. */
export class StallDetector {
  readonly #limits: ProxyLimits;
  /** Total bytes of the body that arrived, and of the answer that was sent. */
  received = 0;
  sent = 0;
  #wait: Wait = "workerd";
  #moved = 0;
  #movedAt = 0;
  #windowAt = 0;
  #windowReceived = 0;

  constructor(limits: ProxyLimits) {
    this.#limits = limits;
  }

  /** Whether the wait has taken too long. */
  isOver(wait: Wait, now: number): boolean {
    const { silenceMs, rateMs, leastRate, drainMs, unreadMs } = this.#limits;
    const moved = this.received + this.sent;
    // An unwanted body may be slow: it has a total time.
    if (wait !== this.#wait) this.#begin(wait, now);
    else if (moved !== this.#moved && wait !== "drain") this.#movedAt = now;
    this.#moved = moved;
    const stoodMs = now - this.#movedAt;
    if (wait === "drain") return stoodMs >= drainMs;
    if (wait === "answer") return stoodMs >= unreadMs;
    if (wait === "workerd") return false;
    if (stoodMs >= silenceMs) return true;
    if (now - this.#windowAt < rateMs) return false;
    const isSlow = this.received - this.#windowReceived < (leastRate * rateMs) / 1000;
    this.#begin(wait, now);
    return isSlow;
  }

  #begin(wait: Wait, now: number): void {
    this.#wait = wait;
    this.#movedAt = now;
    this.#windowAt = now;
    this.#windowReceived = this.received;
  }
}
