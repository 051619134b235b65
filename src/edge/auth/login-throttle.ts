/**
 * Limits on checking passwords. To derive the hash of one blocks the isolate's only thread for some 12 ms, so derivations
 * are few at a time and spaced out, and accounts that exist still get in while somebody asks for as many as they can.
 */
import type { Clock } from "../../clock.ts";
import { ExpiringLru } from "../../registry/caches.ts";
import type { Registry } from "../../registry/registry.ts";
import { NameFilter } from "../../rpc/name-filter.ts";
import { FailureLimit } from "./limits.ts";

/** How many slots there are, and the time from one start to the next, in milliseconds. */
export type SlotOptions = { most: number; everyMs: number };

/** Slots for derivations that anybody asks for: one every 50 ms takes a quarter of the thread. */
const sharedSlots: SlotOptions = { most: 16, everyMs: 50 };

/** Slots for accounts that exist: the first attempt of each in a minute, and their new passwords. */
const accountSlots: SlotOptions = { most: 128, everyMs: 30 };

/** How long a slot is kept for a request that does not release it: it may have ended with its client. */
const slotTtlMs = 10_000;

/** How long after a first attempt an account gets another one, in milliseconds. */
const firstAttemptEveryMs = 60_000;

/** How long the filter of account names is used, and how soon it is asked for again, in milliseconds. */
const namesFreshMs = 60_000;
const askAgainMs = 2_000;

/**
 * How long after its arrival a request is refused for want of a slot, in milliseconds. A wrong password for an account
 * with a slot of its own is refused after the same time, so that the refusal does not reveal which names exist.
 */
const refuseAfterMs = 200;

/** A slot that was acquired. */
export type Slot = {
  /** Waits until the derivation may start. */
  start(): Promise<void>;
  /** Gives the slot back. To do so twice does no harm. */
  release(): void;
};

type Held = { network: string | undefined; expiresAt: number };

/**
 * Slots for work that blocks the thread. One network has at most a quarter of them; callers without a known network are
 * not limited so.
 *
 * A bound alone would not do: with one derivation always ready to run, nothing else would. So their starts are spaced.
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

/** The throttle of one isolate. A network is what addresses are counted by, where the address is known. */
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

  /** A slot for anybody; `undefined` under pressure: none is left, or this network has failed too often. */
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
   * Whether there may be an account of this name. Only asked under pressure, when one call a minute answers for all
   * names: to look up each would keep the catalog as busy as the derivations would keep the thread.
   */
  async mayBeKnown(name: string): Promise<boolean> {
    const now = this.#registry.clock.now();
    const isFresh = this.#names !== undefined && now - this.#names.readAt < namesFreshMs;
    // One request asks at a time, for itself: its I/O ends with its client. The others use what there is.
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

  /** Waits until a request that arrived then may be refused for want of a slot. */
  async waitBeforeRefusal(arrivedAt: number): Promise<void> {
    const tookMs = this.#registry.clock.now() - arrivedAt;
    if (tookMs < refuseAfterMs) await scheduler.wait(refuseAfterMs - Math.max(0, tookMs));
  }
}
