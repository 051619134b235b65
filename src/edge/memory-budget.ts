/** Memory of an isolate for whole bodies, of which requests reserve some and wait for it. */
import type { Clock } from "../clock.ts";
import { minute, second } from "../units.ts";
import type { Room } from "./context.ts";

/** How much of all room one holder has at most, so that nobody keeps everybody else waiting. */
const share = 1 / 2;
/** How long a request waits for room, and how often it looks unless told. */
const maxWaitMs = 10 * second;
const usualPollMs = 50;
/** A body that is still not whole after this time loses its room to one that needs it. */
const slowAfterMs = 5 * second;
/** After this time a room is taken from its request, which may have ended with its client and never release it. */
const lostAfterMs = minute;

/** Memory that is reserved for a body. */
export class ReservedRoom implements Room {
  readonly bytes: number;
  readonly holder: string | undefined;
  readonly #clock: Clock;
  readonly #giveBack: (room: ReservedRoom) => void;
  /** When others may take it. */
  expiresAtMs: number;
  isLost = false;
  /** What has come of the body. It is let go with the room. */
  readonly pieces: Uint8Array[] = [];

  constructor(
    clock: Clock,
    bytes: number,
    holder: string | undefined,
    giveBack: (room: ReservedRoom) => void,
  ) {
    this.#clock = clock;
    this.bytes = bytes;
    this.holder = holder;
    this.#giveBack = giveBack;
    this.expiresAtMs = clock.now() + slowAfterMs;
  }

  noteProgress(): void {
    this.expiresAtMs = this.#clock.now() + slowAfterMs;
  }

  release(): void {
    this.#giveBack(this);
  }

  /** Keeps it for the body, which is whole; false if it is lost already. */
  keep(): boolean {
    this.expiresAtMs = this.#clock.now() + lostAfterMs;
    return !this.isLost;
  }
}

/** `pollMs`: how often a request that waits looks for room. `wait`: what it does meanwhile. */
type BudgetOptions = { bytes: number; pollMs?: number; wait?: (milliseconds: number) => Promise<unknown> };

/** Limits the memory that bodies of one kind take in an isolate, received or sent. */
export class MemoryBudget {
  readonly #clock: Clock;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #bytes: number;
  readonly #pollMs: number;
  /** The oldest one first. */
  readonly #rooms = new Set<ReservedRoom>();

  constructor(clock: Clock, { bytes, pollMs = usualPollMs, wait }: BudgetOptions) {
    this.#clock = clock;
    this.#wait = wait ?? ((milliseconds) => scheduler.wait(milliseconds));
    this.#bytes = bytes;
    this.#pollMs = pollMs;
  }

  /**
   * Reserves room for a body, waiting for it if necessary; `undefined` if there is none in time. Whoever gets it has to
   * release it.
   *
   * @param holder who has no more than a share of all; without one there is no such bound
   */
  async reserve(bytes: number, holder?: string): Promise<ReservedRoom | undefined> {
    const until = this.#clock.now() + maxWaitMs;
    // Each request polls: it must not await a promise of another request, which may end first.
    for (;;) {
      const room = this.#tryReserve(bytes, holder);
      if (room !== undefined || this.#clock.now() >= until) return room;
      await this.#wait(this.#pollMs);
    }
  }

  #release(room: ReservedRoom): void {
    this.#rooms.delete(room);
    room.isLost = true;
    room.pieces.length = 0;
  }

  #tryReserve(bytes: number, holder: string | undefined): ReservedRoom | undefined {
    const isOwn = (room: ReservedRoom) => room.holder === holder;
    const mayHave =
      this.#makeRoom(this.#bytes - bytes, () => true) &&
      (holder === undefined || this.#makeRoom(this.#bytes * share - bytes, isOwn));
    if (!mayHave) return undefined;
    const room = new ReservedRoom(this.#clock, bytes, holder, (each) => this.#release(each));
    this.#rooms.add(room);
    return room;
  }

  /** Takes rooms that have expired until those that count have at most so many bytes. Returns whether they have. */
  #makeRoom(mostBytes: number, counts: (room: ReservedRoom) => boolean): boolean {
    const rooms = [...this.#rooms].filter(counts);
    let taken = rooms.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const room of rooms) {
      if (taken <= mostBytes) break;
      if (room.expiresAtMs > this.#clock.now()) continue;
      this.#release(room);
      taken -= room.bytes;
    }
    return taken <= mostBytes;
  }
}
