/** Work that is under way at the same time, by who asked for it. */
import type { Clock } from "../clock.ts";

/**
 * How long work counts that nobody says the end of, in milliseconds: a request whose client has gone ends in the middle
 * of what it awaits, and runs no `finally`.
 */
const lostAfterMs = 10_000;

type Held = { key: string; begunAtMs: number };

/** How much work each key has under way: so much at most. */
export class InFlight {
  readonly #clock: Clock;
  readonly #most: number;
  /** In the order in which it began. */
  readonly #held = new Set<Held>();
  readonly #counts = new Map<string, number>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  /** Begins work; returns what is to be called at its end, or `undefined` where the key has as much as it may. */
  begin(key: string): (() => void) | undefined {
    const now = this.#clock.now();
    this.#endLost(now);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#most) return undefined;
    const held = { key, begunAtMs: now };
    this.#held.add(held);
    this.#counts.set(key, count + 1);
    return () => this.#end(held);
  }

  #endLost(now: number): void {
    for (const held of this.#held) {
      const ageMs = now - held.begunAtMs;
      // A clock that was set back makes no work younger.
      if (ageMs >= 0 && ageMs < lostAfterMs) return;
      this.#end(held);
    }
  }

  #end(held: Held): void {
    if (!this.#held.delete(held)) return;
    const left = (this.#counts.get(held.key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(held.key);
    else this.#counts.set(held.key, left);
  }
}
