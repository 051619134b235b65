/** Whether a client is too slow. */
import type { ProxyLimits } from "./limits.ts";

/**
 * What a request waits for: its client, to send a body that is wanted, or one that is not, or to take the answer; or
 * workerd.
 */
export type Wait = "body" | "drain" | "answer" | "workerd";

/** Decides by the bytes that were counted since it last looked. Times are milliseconds since some time. */
export class StallDetector {
  readonly #limits: ProxyLimits;
  /** Bytes of the body that came, and of the answer that left, in all. */
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

  /** Whether what is waited for has taken too long by now. */
  isOver(wait: Wait, now: number): boolean {
    const { silenceMs, rateMs, leastRate, drainMs, unreadMs } = this.#limits;
    const moved = this.received + this.sent;
    // A body that is not wanted may move as it likes: it has its time in all.
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
