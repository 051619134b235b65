/**
 * Places for what keeps the isolate's only thread busy: how many may be in flight, how they are shared out, and how
 * far apart they take their turns.
 */
import type { Clock } from "../../clock.ts";

/** How long a place is kept for a request of which nothing is heard: its client may have gone, with all it awaited. */
const lostAfterMs = 10_000;

/** How many places there are, and the time from one turn to the next, in milliseconds. */
export type PlaceOptions = { most: number; everyMs: number };

/** A place that was taken. */
export type Place = {
  /** Waits for its turn. */
  turn(): Promise<void>;
  /** Gives it back; once is enough, and more than that does no harm. */
  leave(): void;
};

type Taken = { network: string | undefined; lostAt: number };

/**
 * The places. Of one network are at most a quarter of them; who is of no network that is known is not counted so.
 *
 * A derivation of a password blocks the thread, so that the bound alone would only say how long the others wait: while
 * there is always one more to do, nothing else would be done in between. The turns leave that time.
 */
export class Places {
  readonly #clock: Clock;
  readonly #options: PlaceOptions;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #taken = new Set<Taken>();
  #nextTurnAt = 0;

  constructor(clock: Clock, options: PlaceOptions, wait = (ms: number) => scheduler.wait(ms)) {
    this.#clock = clock;
    this.#options = options;
    this.#wait = wait;
  }

  /** Takes a place; `undefined` where all of them, or all for this network, are taken. */
  take(network: string | undefined): Place | undefined {
    const now = this.#clock.now();
    const { most, everyMs } = this.#options;
    for (const each of this.#taken) if (each.lostAt <= now) this.#taken.delete(each);
    const ofNetwork = [...this.#taken].filter((each) => each.network === network).length;
    if (this.#taken.size >= most || (network !== undefined && ofNetwork >= most / 4)) return undefined;
    const taken = { network, lostAt: now + lostAfterMs };
    this.#taken.add(taken);
    return {
      turn: async () => {
        const asked = this.#clock.now();
        // A clock that was put back must not keep anybody waiting.
        const turnAt = Math.min(Math.max(asked, this.#nextTurnAt), asked + most * everyMs);
        this.#nextTurnAt = turnAt + everyMs;
        if (turnAt > asked) await this.#wait(turnAt - asked);
      },
      leave: () => {
        this.#taken.delete(taken);
      },
    };
  }
}
