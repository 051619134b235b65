/** Sends large bodies in pieces, so that clients that read slowly, or not at all, do not fill the memory with them. */
import type { Clock } from "../clock.ts";
import { withTimeout } from "../timeout.ts";
import { kibibyte, mebibyte, second } from "../units.ts";
import type { Room } from "./context.ts";

/**
 * Larger bodies are sent in pieces of this size. Of a body that is given as a whole the runtime makes a copy, which it
 * holds for as long as its client takes to read.
 */
export const largeBytes = 64 * kibibyte;

/** What all bodies on their way may hold before those are given up whose clients read nothing: an isolate has 128 MB. */
const mostHeldBytes = 64 * mebibyte;
/** A client reads nothing if it has not taken a piece after this time. */
const stalledAfterMs = 5 * second;
const lookEveryMs = second;
/** A body that was not heard of for this time is on its way no more: its request has ended with its client. */
const lostAfterMs = 3 * stalledAfterMs;

/** A body on its way, when its client took something of it, and when it was last known to be on its way. */
type Sending = { bytes: number; movedAtMs: number; heardAtMs: number };

/** The bodies that an isolate sends in pieces. */
export class PieceSender {
  readonly #clock: Clock;
  readonly #sendings = new Set<Sending>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A body that is sent as fast as its client reads it, and ends only when the promises have settled.
   *
   * @param room the memory that it has, which is released in the end
   */
  send(bytes: Uint8Array, keepOpenUntil: Promise<unknown>[], room?: Room): ReadableStream<Uint8Array> {
    const { readable, writable } = new FixedLengthStream(bytes.byteLength);
    // The client may have disconnected.
    this.#send(bytes, writable, keepOpenUntil, room).catch(() => {});
    return readable;
  }

  async #send(
    bytes: Uint8Array,
    writable: WritableStream<Uint8Array>,
    keepOpenUntil: Promise<unknown>[],
    room: Room | undefined,
  ): Promise<void> {
    const writer = writable.getWriter();
    const now = this.#clock.now();
    const sending = { bytes: bytes.byteLength, movedAtMs: now, heardAtMs: now };
    this.#sendings.add(sending);
    try {
      for (let at = 0; at < bytes.byteLength; at += largeBytes)
        await this.#waitFor(writer.write(bytes.subarray(at, at + largeBytes)), sending, room);
    } catch (error) {
      await writer.abort(error);
      throw error;
    } finally {
      this.#sendings.delete(sending);
      room?.release();
    }
    await Promise.allSettled(keepOpenUntil);
    await writer.close();
  }

  /** Waits until a piece is taken. Throws if it is not, and others need the memory. */
  async #waitFor(taken: Promise<void>, sending: Sending, room: Room | undefined): Promise<void> {
    const isTaken = taken.then(() => true);
    while (!(await withTimeout(isTaken, lookEveryMs, false))) {
      const now = this.#clock.now();
      sending.heardAtMs = now;
      const isStalled = now - sending.movedAtMs >= stalledAfterMs;
      if (room?.isLost !== true && !(isStalled && this.#heldBytes() > mostHeldBytes)) continue;
      // At once, so that no more are given up than have to be.
      this.#sendings.delete(sending);
      throw new Error("the client reads nothing");
    }
    sending.movedAtMs = this.#clock.now();
    sending.heardAtMs = sending.movedAtMs;
    room?.noteProgress();
  }

  #heldBytes(): number {
    const lostBeforeMs = this.#clock.now() - lostAfterMs;
    let heldBytes = 0;
    for (const sending of this.#sendings) {
      if (sending.heardAtMs < lostBeforeMs) this.#sendings.delete(sending);
      else heldBytes += sending.bytes;
    }
    return heldBytes;
  }
}
