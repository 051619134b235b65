/** The place of a fetch among those of its upstream. If the upstream's object cannot be asked, it is not counted. */
import type { Clock } from "../../clock.ts";
import { type ObjectBindings, upstreamStub } from "../../rpc/stubs.ts";
import { second } from "../../units.ts";

/** How long to wait for a place, how often to ask, and how often to keep it, in milliseconds. */
const waitMs = 30 * second;
const pollMs = 250;
const keepMs = 10 * second;

/** What a place needs: the objects, the clock, and how work goes on. */
type PlaceHost = { env: ObjectBindings; clock: Clock; waitUntil: (work: Promise<unknown>) => void };

/** The place of one fetch. */
export class FetchPlace {
  readonly #host: PlaceHost;
  readonly #upstream: string;
  readonly #fetch: string;
  #keptAtMs = 0;

  /** `upstream`: its id; `fetch`: that of the fetch. */
  constructor(host: PlaceHost, upstream: string, fetch: string) {
    this.#host = host;
    this.#upstream = upstream;
    this.#fetch = fetch;
  }

  /** Takes a place, and waits for one if it has to; false if none becomes free in time. */
  async take(): Promise<boolean> {
    const deadline = performance.now() + waitMs;
    while (!(await this.#ask().catch(() => true))) {
      if (performance.now() > deadline) return false;
      await scheduler.wait(pollMs);
    }
    this.#keptAtMs = this.#host.clock.now();
    return true;
  }

  /** Keeps the place, if it is time to. */
  keep(): void {
    const now = this.#host.clock.now();
    if (now - this.#keptAtMs < keepMs) return;
    this.#keptAtMs = now;
    this.#host.waitUntil(this.#ask().catch(() => {}));
  }

  leave(): void {
    const left = upstreamStub(this.#host.env, this.#upstream).leavePlace(this.#fetch);
    this.#host.waitUntil(left.catch(() => {}));
  }

  #ask(): Promise<boolean> {
    return upstreamStub(this.#host.env, this.#upstream).takePlace(this.#upstream, this.#fetch);
  }
}
