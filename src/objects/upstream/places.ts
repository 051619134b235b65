/**
 * How many blobs are fetched from an upstream at once. A place is leased: a fetch that died leaves it without notice, and
 * one that cannot keep it goes on without.
 */
import type { Clock } from "../../clock.ts";
import { second } from "../../units.ts";

/** How long a place is kept for a fetch that is not heard of. */
export const placeMs = 30 * second;

/** The places of one upstream, by fetch. */
export class Places {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a place among `most`, or keeps the one that the fetch has; false if none is free. */
  take(fetch: string, most: number): boolean {
    const now = this.#clock.now();
    for (const [each, until] of this.#until) if (until <= now) this.#until.delete(each);
    if (!this.#until.has(fetch) && this.#until.size >= most) return false;
    this.#until.set(fetch, now + placeMs);
    return true;
  }

  leave(fetch: string): void {
    this.#until.delete(fetch);
  }

  /** How many are taken. */
  taken(): number {
    return this.#until.size;
  }
}
