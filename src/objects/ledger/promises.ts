/**
 * Which blobs clients rely on that were told of them, or pushed them, a moment ago, and whose manifest has not come yet.
 *
 * It is in memory, as most of these blobs have a manifest already, which keeps them. It counts where that is deleted
 * before the client's own has come.
 */
import type { Clock } from "../../clock.ts";

/** Of how many blobs this is remembered, and of each how many promises; the oldest are forgotten. */
const mostBlobs = 10_000;
const mostOfABlob = 8;

/** The promises, each with its time. */
export class Promises {
  readonly #clock: Clock;
  readonly #keptMs: number;
  readonly #since: number;
  /** In the order of the last promise of each. */
  readonly #made = new Map<string, number[]>();

  /** `keptMs`: how long somebody may rely on what they were told, at least. */
  constructor(clock: Clock, keptMs: number) {
    this.#clock = clock;
    this.#keptMs = keptMs;
    this.#since = clock.now();
  }

  /** Notes that somebody may rely from now on a blob being there. */
  make(digest: string): void {
    const now = this.#clock.now();
    const times = [...(this.#made.get(digest) ?? []), now].slice(-mostOfABlob);
    this.#made.delete(digest);
    this.#made.set(digest, times);
    for (const [oldest, made] of this.#made) {
      if (this.#made.size <= mostBlobs && (made.at(-1) ?? 0) > now - this.#keptMs) break;
      this.#made.delete(oldest);
    }
  }

  /** Notes that one of those who rely on these blobs has had what they needed them for. */
  keep(digests: string[]): void {
    for (const digest of digests) {
      const times = this.#made.get(digest)?.slice(1) ?? [];
      if (times.length > 0) this.#made.set(digest, times);
      else this.#made.delete(digest);
    }
  }

  /**
   * When the last promise was made of a blob that is still to be kept, in milliseconds since 1970; 0 where there is none.
   * `known`: what was written down; this memory knows whether it was kept, unless it began after it.
   */
  lastOf(digest: string, known: number): number {
    const last = this.#made.get(digest)?.at(-1);
    if (last !== undefined) return last;
    return known < this.#since ? known : 0;
  }
}
