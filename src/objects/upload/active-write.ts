/**
 * The write of a request to an upload, for other requests to the same upload: whether its client still sends bytes, and
 * how to stop it.
 */
import type { Clock } from "../../clock.ts";
import type { Failure } from "../../oci/errors.ts";

/** Another request stopped the write. `failure` is the answer to the stopped request. */
export class Stopped extends Error {
  override name = "Stopped";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error);
    this.failure = failure;
  }
}

/** One request's write. */
export class ActiveWrite {
  /** How many bytes came. */
  receivedBytes = 0;
  readonly #clock: Clock;
  readonly #stop = Promise.withResolvers<never>();
  #waitingSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    // Most writes are never stopped, and nobody listens.
    this.#stop.promise.catch(() => {});
  }

  /** Waits for bytes, or throws {@link Stopped} once the write is stopped. */
  async next<T>(read: Promise<T>): Promise<T> {
    this.#waitingSinceMs = this.#clock.now();
    try {
      return await Promise.race([this.#stop.promise, read]);
    } finally {
      this.#waitingSinceMs = undefined;
    }
  }

  /** Whether it has waited this long for its client. Time for storing bytes does not count. */
  hasWaited(milliseconds: number): boolean {
    return this.#waitingSinceMs !== undefined && this.#clock.now() - this.#waitingSinceMs >= milliseconds;
  }

  /** Stops the write, in its current wait or at the next. */
  stop(failure: Failure): void {
    this.#stop.reject(new Stopped(failure));
  }
}
