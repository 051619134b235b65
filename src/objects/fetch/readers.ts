/** The clients of a fetch: those that read along, and whether anybody still waits for it. */
import type { Clock } from "../../clock.ts";
import { minute } from "../../units.ts";
import { Bell } from "./bell.ts";

/** How many clients read along; more wait for the end, and read what was adopted, which does not pass the object. */
const mostLive = 16;

/** How long a fetch goes on that nobody waits for, if it is not past half. */
const aloneMs = minute;

/** A client of a fetch: the offset of the next byte that it needs; `isLive`: it reads along. */
export type Reader = { offset: number; readonly isLive: boolean };

/** All clients of one fetch. */
export class Readers {
  /** Rings when a client has moved on, or has gone. */
  readonly moved = new Bell();
  readonly #clock: Clock;
  readonly #readers = new Set<Reader>();
  #aloneSinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aloneSinceMs = clock.now();
  }

  /** A client comes. It must {@link leave} in the end. */
  join(): Reader {
    const reader = { offset: 0, isLive: this.live().length < mostLive };
    this.#readers.add(reader);
    return reader;
  }

  /** A client has gone. */
  leave(reader: Reader): void {
    this.#readers.delete(reader);
    this.#aloneSinceMs = this.#clock.now();
    this.moved.ring();
  }

  /** The clients that read along. */
  live(): Reader[] {
    return [...this.#readers].filter(({ isLive }) => isLive);
  }

  /**
   * Whether to give the fetch up that has come to the offset `end` of so many bytes: nobody has waited for it for a
   * while, and most is still to come.
   */
  isAbandoned(end: number, sizeBytes: number | undefined): boolean {
    if (this.#readers.size > 0) return false;
    const isPastHalf = sizeBytes !== undefined && end >= sizeBytes / 2;
    return !isPastHalf && this.#clock.now() - this.#aloneSinceMs > aloneMs;
  }
}
