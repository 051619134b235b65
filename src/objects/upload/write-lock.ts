/**
 * The lock on writing to an upload: one request at a time.
 */
import { type Failure, failure, type Result } from "../../oci/errors.ts";
import { withTimeout } from "../../timeout.ts";

/** How long a request waits for another one that is writing, in milliseconds: a lost connection ends in less. */
const timeoutMs = 1_000;

/** The lock. */
export class WriteLock {
  readonly #waitUntil: (work: Promise<unknown>) => void;
  #held: Promise<unknown> | undefined;

  /** `waitUntil` keeps the object awake for work whose request has gone. */
  constructor(waitUntil: (work: Promise<unknown>) => void) {
    this.#waitUntil = waitUntil;
  }

  /** Whether somebody writes. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Runs work under the lock. Error: `BLOB_UPLOAD_BUSY`, when after a short wait another request still has it. */
  async run<T extends Result>(work: () => Promise<T>): Promise<T | Failure> {
    await this.waitShortly();
    if (this.#held !== undefined) return failure("BLOB_UPLOAD_BUSY");
    const running = work().finally(() => {
      this.#held = undefined;
    });
    this.#held = running.catch(() => {});
    this.#waitUntil(this.#held);
    return running;
  }

  /** Waits until nobody writes, however long that takes. */
  async wait(): Promise<void> {
    await this.#held;
  }

  /** Waits until nobody writes, for a second at most. */
  async waitShortly(): Promise<void> {
    if (this.#held !== undefined) await withTimeout(this.#held, timeoutMs, undefined);
  }
}
