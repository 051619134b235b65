/**
 * Whose turn it is to write to an upload: one request's at a time.
 */
import { type Failure, failure, type Result } from "../../oci/errors.ts";

/** How long a request waits for another one that is writing, in milliseconds: a lost connection ends in less. */
const patienceMs = 1_000;

/** The turn. */
export class Turn {
  readonly #waitUntil: (work: Promise<unknown>) => void;
  #taken: Promise<unknown> | undefined;

  /** `waitUntil` keeps the object awake for work whose request has gone. */
  constructor(waitUntil: (work: Promise<unknown>) => void) {
    this.#waitUntil = waitUntil;
  }

  /** Whether somebody writes. */
  get isTaken(): boolean {
    return this.#taken !== undefined;
  }

  /** Runs work that nothing else may interleave with. Error: `BLOB_UPLOAD_BUSY`, when after a short wait another still writes. */
  async take<T extends Result>(work: () => Promise<T>): Promise<T | Failure> {
    await this.pause();
    if (this.#taken !== undefined) return failure("BLOB_UPLOAD_BUSY");
    const running = work().finally(() => {
      this.#taken = undefined;
    });
    this.#taken = running.catch(() => {});
    this.#waitUntil(this.#taken);
    return running;
  }

  /** Waits until nobody writes, however long that takes. */
  async end(): Promise<void> {
    await this.#taken;
  }

  /** Waits until nobody writes, for a moment at most. */
  async pause(): Promise<void> {
    if (this.#taken === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    await Promise.race([this.#taken, promise]);
    clearTimeout(timer);
  }
}
