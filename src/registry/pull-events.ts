/**
 * Events of pulls: a sample, for webhooks that want it. Each isolate reports at most one pull of each manifest a
 * minute. If no webhook wants pulls, a pull costs a look-up in memory, and an isolate makes one call a minute.
 */
import type { Clock } from "../clock.ts";
import { log } from "../log.ts";
import type { EventTarget, Origin } from "../oci/event.ts";
import { matchesPattern } from "../oci/pattern.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { WebhooksApi } from "../rpc/webhooks-api.ts";
import { ExpiringLru } from "./caches.ts";

/** The time between two events for pulls of the same manifest, in milliseconds. */
const sampleMs = 60_000;

/** How long an isolate caches which webhooks want pulls, in milliseconds. */
const relyMs = 60_000;

/** The approximate memory for one remembered manifest, in bytes. */
const entryBytes = 400;

/** A manifest that was pulled. */
export type Pull = { repository: RepositoryName; target: EventTarget & { digest: string }; origin: Origin };

/** The pull events of one isolate. */
export class PullEvents {
  readonly #clock: Clock;
  readonly #webhooks: () => WebhooksApi;
  readonly #told: ExpiringLru<true>;
  #patterns: string[] = [];
  #reliableUntil = 0;

  constructor(clock: Clock, webhooks: () => WebhooksApi) {
    this.#clock = clock;
    this.#told = new ExpiringLru(clock, 1024 * 1024, () => entryBytes);
    this.#webhooks = webhooks;
  }

  /** To be called when webhooks have changed: the next pull asks for them again. */
  forgetListeners(): void {
    this.#reliableUntil = 0;
  }

  /** Whether {@link tell} has anything to do; mostly it has not. */
  isDue(repository: RepositoryName, digest: string): boolean {
    if (this.#clock.now() >= this.#reliableUntil) return true;
    return this.#isWanted(repository) && !this.#told.has(keyOf(repository, digest));
  }

  /** Sends the event of a pull, if it is due and wanted. Never throws: events that cannot be sent are dropped. */
  async tell({ repository, target, origin }: Pull): Promise<void> {
    const now = this.#clock.now();
    try {
      if (now >= this.#reliableUntil) {
        // Other requests use the old answer while this one asks.
        this.#reliableUntil = now + relyMs;
        this.#patterns = await this.#webhooks().pullPatterns();
      }
      const key = keyOf(repository, target.digest);
      if (!this.#isWanted(repository) || this.#told.has(key)) return;
      this.#told.set(key, true, sampleMs);
      const id = crypto.randomUUID();
      const time = new Date(now).toISOString();
      await this.#webhooks().accept(repository, [
        { id, type: "manifest.pull", time, repository, target, origin },
      ]);
    } catch (error) {
      log("warn", "pull not told", { repository, error: String(error) });
    }
  }

  #isWanted(repository: RepositoryName): boolean {
    return this.#patterns.some((pattern) => matchesPattern(pattern, repository));
  }
}

function keyOf(repository: RepositoryName, digest: string): string {
  return `${repository}@${digest}`;
}
