/**
 * Limits on checking passwords. Deriving a hash blocks the isolate's only thread for some 12 ms, so derivations are
 * limited and spaced out. Existing accounts can still log in while somebody floods the registry with passwords.
 */
import type { Clock } from "../../clock.ts";
import { ExpiringLru } from "../../registry/caches.ts";
import type { Registry } from "../../registry/registry.ts";
import { NameFilter } from "../../rpc/name-filter.ts";
import { FailureLimit } from "./limits.ts";

/** The number of slots, and the time from one start to the next, in milliseconds. */
export type SlotOptions = { most: number; everyMs: number };

/** Slots for everybody's derivations: one every 50 ms takes a quarter of the thread. */
const sharedSlots: SlotOptions = { most: 16, everyMs: 50 };

/** Slots for accounts that exist: the first attempt of each in a minute, and their new passwords. */
const accountSlots: SlotOptions = { most: 128, everyMs: 30 };

/** How long a slot is kept for a request that does not release it: it may have ended with its client. */
const slotTtlMs = 10_000;

/** The time until an account gets another first attempt, in milliseconds. */
const firstAttemptEveryMs = 60_000;

/** How long the filter of account names is used, and the time between two requests for it, in milliseconds. */
const namesFreshMs = 60_000;
const askAgainMs = 2_000;

/**
 * The time from a request's arrival to its refusal for lack of a slot, in milliseconds. A wrong password for an account
 * with a slot of its own is refused after the same time, so that the refusal does not reveal which names exist.
 */
const refuseAfterMs = 200;

/** A slot that was acquired. */
export type Slot = {
  /** Waits until the derivation may start. */
  start(): Promise<void>;
  /** Releases the slot. A second call has no effect. */
  release(): void;
};

type Held = { network: string | undefined; expiresAt: number };

/**
 * Slots for work that blocks the thread. One network has at most a quarter of them; callers of unknown networks have no
 * such limit.
 *
 * A limit alone is not enough: with one derivation always ready to run, nothing else would run. So starts are spaced.
 */
export class Slots {
  readonly #clock: Clock;
  readonly #options: SlotOptions;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #held = new Set<Held>();
  #nextStartAt = 0;

  constructor(clock: Clock, options: SlotOptions, wait = (ms: number) => scheduler.wait(ms)) {
    this.#clock = clock;
    this.#options = options;
    this.#wait = wait;
  }

  /** Acquires a slot; `undefined` where all of them, or all for this network, are held. */
  acquire(network: string | undefined): Slot | undefined {
    const now = this.#clock.now();
    const { most, everyMs } = this.#options;
    for (const each of this.#held) if (each.expiresAt <= now) this.#held.delete(each);
    const ofNetwork = [...this.#held].filter((each) => each.network === network).length;
    if (this.#held.size >= most || (network !== undefined && ofNetwork >= most / 4)) return undefined;
    const held = { network, expiresAt: now + slotTtlMs };
    this.#held.add(held);
    return {
      start: async () => {
        const asked = this.#clock.now();
        // Bounded, as the clock may have been set back.
        const startAt = Math.min(Math.max(asked, this.#nextStartAt), asked + most * everyMs);
        this.#nextStartAt = startAt + everyMs;
        if (startAt > asked) await this.#wait(startAt - asked);
      },
      release: () => {
        this.#held.delete(held);
      },
    };
  }
}

/** The throttle of one isolate. Callers are counted by network, if their address is known. */
export class LoginThrottle {
  readonly #registry: Registry;
  readonly #shared: Slots;
  readonly #accounts: Slots;
  readonly #failures: FailureLimit;
  readonly #attempted: ExpiringLru<true>;
  #names: { filter: NameFilter; readAt: number } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#shared = new Slots(registry.clock, sharedSlots);
    this.#accounts = new Slots(registry.clock, accountSlots);
    this.#attempted = new ExpiringLru(registry.clock, 1024 * 1024, () => 300);
    this.#failures = new FailureLimit(registry.rateLimits, "ADDRESS_LOGIN_FAILURES", registry.clock);
  }

  /** A slot for any caller; `undefined` under pressure: none is left, or this network has failed too often. */
  acquire(network: string | undefined): Slot | undefined {
    const hasFailed = network !== undefined && this.#failures.isReached(network);
    return hasFailed ? undefined : this.#shared.acquire(network);
  }

  /** A slot for an account that exists, for its first attempt in a minute from this network. */
  acquireForFirstAttempt(network: string | undefined, name: string): Slot | undefined {
    const key = `${network ?? ""} ${name}`;
    if (this.#attempted.has(key)) return undefined;
    const slot = this.#accounts.acquire(network);
    if (slot !== undefined) this.#attempted.set(key, true, firstAttemptEveryMs);
    return slot;
  }

  /** A slot for a password that an administrator sets. */
  acquireForNewPassword(network: string | undefined): Slot | undefined {
    return this.#accounts.acquire(network);
  }

  /** Counts a password that was wrong. */
  async countFailure(network: string | undefined): Promise<void> {
    if (network !== undefined) await this.#failures.count(network);
  }

  /**
   * Whether there may be an account of this name. Only used under pressure: one call a minute fetches a filter of all
   * names, as looking up each name would overload the catalog.
   */
  async mayBeKnown(name: string): Promise<boolean> {
    const now = this.#registry.clock.now();
    const isFresh = this.#names !== undefined && now - this.#names.readAt < namesFreshMs;
    // One request at a time fetches the filter; its I/O ends with its client. The others use the old filter.
    if (!isFresh && now - this.#askedAt >= askAgainMs) {
      this.#askedAt = now;
      const bytes = await this.#registry.catalog().accountNames();
      this.#names = { filter: new NameFilter(bytes), readAt: now };
    }
    return this.#names?.filter.has(name) ?? true;
  }

  /** Makes a new account known in this isolate at once. */
  addName(name: string): void {
    this.#names?.filter.add(name);
  }

  /** Waits until a request that arrived at this time may be refused for lack of a slot. */
  async waitBeforeRefusal(arrivedAt: number): Promise<void> {
    const tookMs = this.#registry.clock.now() - arrivedAt;
    if (tookMs < refuseAfterMs) await scheduler.wait(refuseAfterMs - Math.max(0, tookMs));
  }
}
