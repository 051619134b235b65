/**
 * Entries on their way into the audit log. What was done goes at once. One caller can be refused as often as they like:
 * of refusals the catalog is told how many there were, a few times a second.
 */
import type { NewAuditEntry } from "../../objects/api.ts";
import type { Registry } from "../../registry/registry.ts";
import type { WaitUntil } from "../../registry/shared-calls.ts";

/** The time from one call to the next while there are more refusals to tell of, in milliseconds. */
const pauseMs = 100;

/** How many refusals wait at most; of one actor a quarter. What is more is only counted, in one entry an actor. */
const mostWaiting = 200;

/** How long it is believed that a request is still telling, which may have ended with its client. In milliseconds. */
const tellingMs = 10_000;

/** What an audit log is kept with; `space`: where the room for it is watched. */
type Keeper = Pick<Registry, "catalog" | "clock"> & Partial<Pick<Registry, "space">>;

/** What is counted when there is too much to list. */
const others = { action: "refused", target: "*", detail: "more than are listed" } as const;

/** What one isolate has not told the catalog yet. */
export class AuditBook {
  readonly #registry: Keeper;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  #waiting = new Map<string, NewAuditEntry>();
  #tellingUntil = 0;

  constructor(registry: Keeper, wait = (milliseconds: number) => scheduler.wait(milliseconds)) {
    this.#registry = registry;
    this.#wait = wait;
  }

  /** Lets the catalog be told of entries; of refusals in a moment, where it is being told of others. */
  add(entries: readonly NewAuditEntry[], waitUntil: WaitUntil): void {
    const done = entries.filter(({ kind }) => kind !== "refusal");
    for (const entry of entries) if (entry.kind === "refusal") this.#note(entry);
    if (done.length > 0) waitUntil(this.#send(done));
    else if (this.#tellingUntil <= this.#registry.clock.now()) waitUntil(this.#tell());
  }

  /** Tells what waits, now. */
  flush(): Promise<void> {
    return this.#send([]);
  }

  /** Sends entries after those that wait, which are older. */
  async #send(entries: readonly NewAuditEntry[]): Promise<void> {
    const all = [...this.#waiting.values(), ...entries];
    this.#waiting = new Map();
    if (all.length === 0) return;
    const { space } = this.#registry;
    // Where even the reserve of the disk runs out: each is in the log, too.
    const isDire = space !== undefined && (await space.isDire());
    const kept = isDire ? all.filter(({ kind }) => kind === "administration") : all;
    if (kept.length === 0) return;
    await this.#registry
      .catalog()
      .audit(kept)
      .catch(() => {});
  }

  #note(entry: NewAuditEntry): void {
    if (this.#count(entry)) return;
    const ofActor = [...this.#waiting.values()].filter(({ actor }) => actor === entry.actor).length;
    const isTooMuch = this.#waiting.size >= mostWaiting || ofActor >= mostWaiting / 4;
    const noted = isTooMuch ? { ...entry, ...others } : entry;
    if (!this.#count(noted)) this.#waiting.set(keyOf(noted), { ...noted });
  }

  /** Counts an entry that is there already. */
  #count(entry: NewAuditEntry): boolean {
    const known = this.#waiting.get(keyOf(entry));
    if (known !== undefined) known.times = (known.times ?? 1) + 1;
    return known !== undefined;
  }

  async #tell(): Promise<void> {
    do {
      this.#tellingUntil = this.#registry.clock.now() + tellingMs;
      await this.flush();
      await this.#wait(pauseMs);
    } while (this.#waiting.size > 0);
    this.#tellingUntil = 0;
  }
}

function keyOf({ actor, action, target, outcome, detail }: NewAuditEntry): string {
  return JSON.stringify([actor, action, target, outcome, detail]);
}
