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

/** What was promised of a blob: when that was last, and when those were that no manifest has answered yet. */
type Promised = { last: number; open: number[] };

/** How long a promise counts, in milliseconds: until a manifest answers it, and in any case. */
export type PromiseTimes = { openMs: number; leastMs: number };

/** The promises, each with its time. */
export class Promises {
  readonly #clock: Clock;
  readonly #times: PromiseTimes;
  /** In the order of the last promise of each. */
  readonly #made = new Map<string, Promised>();

  constructor(clock: Clock, times: PromiseTimes) {
    this.#clock = clock;
    this.#times = times;
  }

  /** Notes that somebody may rely from now on a blob being there. */
  make(digest: string): void {
    const now = this.#clock.now();
    const open = [...(this.#made.get(digest)?.open ?? []), now].slice(-mostOfABlob);
    this.#made.delete(digest);
    this.#made.set(digest, { last: now, open });
    for (const [oldest, { last }] of this.#made) {
      if (this.#made.size <= mostBlobs && last > now - this.#times.openMs) break;
      this.#made.delete(oldest);
    }
  }

  /** Notes that one of those who rely on these blobs has had what they needed them for. */
  keep(digests: string[]): void {
    for (const digest of digests) this.#made.get(digest)?.open.shift();
  }

  /**
   * As of when a blob is kept, for `openMs`, for those who were told of it, in milliseconds since 1970; 0: for nobody. Who
   * was answered is taken to have been told earlier, so that `leastMs` remain: the manifest may have been another
   * client's, and the answer to a push may still be on its way.
   *
   * `known`: what was written down. It counts where this memory began later, or has forgotten the blob.
   */
  lastOf(digest: string, known: number): number {
    const made = this.#made.get(digest);
    if (made === undefined) return known;
    const { openMs, leastMs } = this.#times;
    return made.open.at(-1) ?? made.last + leastMs - openMs;
  }
}
