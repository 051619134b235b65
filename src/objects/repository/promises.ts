/**
 * Which blobs clients were told of lately that they need not push them. It is in memory, as most of them have a
 * manifest, which keeps them; it counts if the manifest is deleted before that of the client has come.
 */
import type { Clock } from "../../env.ts";

/** How many are remembered; of more, the oldest are forgotten. */
const mostPromises = 10_000;

/** The blobs, each with the time at which somebody was last told. */
export class Promises {
  readonly #clock: Clock;
  readonly #keptMs: number;
  readonly #toldAt = new Map<string, number>();

  /** `keptMs`: how long somebody may rely on what they were told, at least. */
  constructor(clock: Clock, keptMs: number) {
    this.#clock = clock;
    this.#keptMs = keptMs;
  }

  /** Notes that somebody is told now that a blob is there. */
  note(digest: string): void {
    // The map is in the order of times.
    this.#toldAt.delete(digest);
    this.#toldAt.set(digest, this.#clock.now());
    for (const [oldest, toldAt] of this.#toldAt) {
      if (this.#toldAt.size <= mostPromises && toldAt > this.#clock.now() - this.#keptMs) break;
      this.#toldAt.delete(oldest);
    }
  }

  /** When somebody was last told of a blob, in milliseconds since 1970; 0: nobody was of late. */
  toldAt(digest: string): number {
    return this.#toldAt.get(digest) ?? 0;
  }
}
