/**
 * Tells ledgers which manifests are used. An isolate tells each use once a day, after the answer, so that a pull by
 * digest need not call an object. A use that could not be told is told again with the next use that this isolate sees.
 */
import type { Clock } from "../clock.ts";
import { log } from "../log.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { LedgerApi } from "../rpc/api.ts";
import type { Use } from "../rpc/manifest-facts.ts";
import { day, dayOf } from "../units.ts";
import { ExpiringLru } from "./caches.ts";
import type { WaitUntil } from "./shared-calls.ts";

/** How long the next attempt waits after a failed one, in milliseconds. */
const retryMs = 30_000;

/** How many uses that could not be told are kept at most. */
const maxUntold = 1000;

/** How many of them one request tells: the platform bounds how many calls it makes. */
const toldAtOnce = 50;

const toldBytes = 4 * 1024 * 1024;

/** The approximate memory for one remembered use, in bytes. */
const entryBytes = 400;

type Untold = { repository: RepositoryName; use: Use };

/** The uses that one isolate has seen. */
export class Uses {
  readonly #clock: Clock;
  readonly #ledger: (repository: RepositoryName) => Pick<LedgerApi, "recordUses">;
  readonly #told: ExpiringLru<true>;
  #untold = new Map<string, Untold>();
  #retryAt = 0;

  constructor(clock: Clock, ledger: (repository: RepositoryName) => Pick<LedgerApi, "recordUses">) {
    this.#clock = clock;
    this.#ledger = ledger;
    this.#told = new ExpiringLru(clock, toldBytes, () => entryBytes);
  }

  /** Notes a use, and tells it if it was not told today. */
  note(repository: RepositoryName, use: Use, waitUntil: WaitUntil): void {
    const now = this.#clock.now();
    if (this.#untold.size > 0 && now >= this.#retryAt) {
      for (const [key, untold] of [...this.#untold].slice(0, toldAtOnce)) {
        this.#untold.delete(key);
        waitUntil(this.#tell(untold));
      }
    }
    if (!this.#told.has(keyOf(repository, use))) waitUntil(this.#tell({ repository, use }));
  }

  async #tell(untold: Untold): Promise<void> {
    const { repository, use } = untold;
    const now = this.#clock.now();
    // A use by a tag is one of the manifest, too.
    const keys = [keyOf(repository, use), keyOf(repository, { digest: use.digest })];
    // At once, so that others do not tell it while this call is under way.
    for (const key of keys) this.#told.setUntil(key, true, (dayOf(now) + 1) * day);
    try {
      await this.#ledger(repository).recordUses([use], dayOf(now));
    } catch (error) {
      log("warn", "use not told", { repository, error: String(error) });
      for (const key of keys) this.#told.delete(key);
      this.#retryAt = this.#clock.now() + retryMs;
      if (this.#untold.size < maxUntold) this.#untold.set(keyOf(repository, use), untold);
    }
  }
}

function keyOf(repository: RepositoryName, { digest, tag }: Use): string {
  return tag === undefined ? `${repository}@${digest}` : `${repository}:${tag}@${digest}`;
}
