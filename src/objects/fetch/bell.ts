/** Wakes those who wait for something to change; they look themselves whether it is what they wait for. */

/** A bell. It has no memory: who looks first and then waits, without awaiting anything between, misses nothing. */
export class Bell {
  #next = Promise.withResolvers<void>();

  /** Wakes all who wait. */
  ring(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  }

  /** Waits for the next ring, but not longer than this. */
  async wait(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([this.#next.promise, promise]);
    clearTimeout(timer);
  }
}
