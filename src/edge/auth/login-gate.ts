/**
 * Who may have a password derived, and when, while somebody makes the registry derive as many as it can.
 */
import { NameFilter } from "../../objects/catalog/name-filter.ts";
import { ByteLru } from "../../registry/lru.ts";
import type { Registry } from "../../registry/registry.ts";
import { FailureLimit } from "./limits.ts";
import { type Place, Places } from "./places.ts";

/** Derivations for whoever asks. One takes some 12 ms of the thread: in turns of 50 ms, a quarter of it. */
const anybodys = { most: 16, everyMs: 50 };

/** Derivations for accounts that there are: the first try of each in a minute, and their new passwords. */
const accounts = { most: 128, everyMs: 30 };

/** How long after one first try there is another, in milliseconds. */
const firstTryMs = 60_000;

/** How long the names of the accounts are taken to be all there are, and how soon they are asked for again. */
const namesFreshMs = 60_000;
const askAgainMs = 2_000;

/**
 * How long after a request came it is told that there is no place, in milliseconds. Who has a place of their own and
 * shows a wrong password is told the same after as long, so that nothing is learnt about names by asking for too much.
 */
const toldAfterMs = 200;

/** The gate before the derivations of one isolate. A network is what addresses are counted by, where there is one. */
export class LoginGate {
  readonly #registry: Registry;
  readonly #anybodys: Places;
  readonly #accounts: Places;
  readonly #failures: FailureLimit;
  readonly #triedUntil = new ByteLru<number>(1024 * 1024, () => 300);
  #names: { filter: NameFilter; readAt: number } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#anybodys = new Places(registry.clock, anybodys);
    this.#accounts = new Places(registry.clock, accounts);
    this.#failures = new FailureLimit(registry.env, "ADDRESS_LOGIN_FAILURES", registry.clock);
  }

  /** A place for whoever asks; `undefined` under pressure: none is left, or this network failed too often. */
  enter(network: string | undefined): Place | undefined {
    const hasFailed = network !== undefined && this.#failures.isReached(network);
    return hasFailed ? undefined : this.#anybodys.take(network);
  }

  /** A place for an account that there is, for its first try in a minute from this network. */
  enterFirstTry(network: string | undefined, name: string): Place | undefined {
    const key = `${network ?? ""} ${name}`;
    const now = this.#registry.clock.now();
    if ((this.#triedUntil.get(key) ?? 0) > now) return undefined;
    const place = this.#accounts.take(network);
    if (place !== undefined) this.#triedUntil.set(key, now + firstTryMs);
    return place;
  }

  /** A place for a password that an administrator sets. */
  enterNewPassword(network: string | undefined): Place | undefined {
    return this.#accounts.take(network);
  }

  /** Counts a derivation for nothing. */
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
    // One request asks at a time, for itself: its I/O ends with its client. The others make do with what there is.
    if (!isFresh && now - this.#askedAt >= askAgainMs) {
      this.#askedAt = now;
      const bytes = await this.#registry.catalog().accountNames();
      this.#names = { filter: new NameFilter(bytes), readAt: now };
    }
    return this.#names?.filter.has(name) ?? true;
  }

  /** Lets a new account be known at once, in this isolate. */
  addName(name: string): void {
    this.#names?.filter.add(name);
  }

  /** Waits until a request that began then may be told that there was no place. */
  async untilTold(beganAt: number): Promise<void> {
    const tookMs = this.#registry.clock.now() - beganAt;
    if (tookMs < toldAfterMs) await scheduler.wait(toldAfterMs - Math.max(0, tookMs));
  }
}
