/**
 * Calls that are under way until the program lets them go: requests, answers, and repetitions of what was done.
 *
 * The program itself delivers a request, not its caller, who may be gone by then. Whoever waits polls: the runtime lets
 * no request wait for a promise that another one resolves.
 */
import type { DelayedCall } from "./program.ts";

type Outcome<T> = { value: T } | { error: unknown };

/** `deliver` does what is to be done on arrival; an answer only arrives. `landsBy`: the latest moment, on the clock. */
type Underway = {
  call: DelayedCall;
  landsBy: number;
  isAwaited: boolean;
  deliver: () => Promise<unknown>;
};

/** What else happens: `activity` grows with each call to a binding; `mayHold`: whether one may be held from now on. */
export type Surroundings = { readonly activity: number; readonly mayHold: boolean };

/** How late the bucket does what it was asked, in milliseconds, at most: late writes are what a second deletion is for. */
const bucketLateMs = 50_000;

/** How many turns of the runtime nothing happens in before who waits for a held call is said to wait. */
const idleTurns = 8;

/** The delayed calls of one world. */
export class DelayedCalls {
  readonly #surroundings: Surroundings;
  #underway: Underway[] = [];
  #isOver = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Does a call once it is let go, and waits for that. */
  async request<T>(call: DelayedCall, work: () => Promise<T>): Promise<T> {
    const outcome: Outcome<T>[] = [];
    const deliver = async () => {
      const done = await work().then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      outcome.push(done);
    };
    this.#add(call, true, deliver);
    await this.#poll(() => outcome.length > 0);
    const [arrived] = outcome;
    if (arrived === undefined) throw new Error("the program is over");
    if ("error" in arrived) throw arrived.error;
    return arrived.value;
  }

  /** Waits until the answer to a call is let go. */
  async answer(call: DelayedCall): Promise<void> {
    let hasArrived = false;
    this.#add(call, true, async () => {
      hasArrived = true;
    });
    await this.#poll(() => hasArrived);
  }

  /** Does something when calls of this name are let go; nobody waits for it. */
  later(call: DelayedCall, work: () => Promise<unknown>): void {
    // If nobody waits, nobody is told of an error.
    this.#add(call, false, () => work().catch(() => {}));
  }

  /** Lets calls arrive in their order, and what waited for them go on as far as it can. */
  async letGo(of: DelayedCall | "all"): Promise<void> {
    await this.#arrive(({ call }) => of === "all" || call === of);
  }

  /** Lets those calls arrive that cannot be under way any longer when the clock is moved there. */
  async clockMovesTo(time: number): Promise<void> {
    await this.#arrive(({ landsBy }) => landsBy <= time);
  }

  /** Ends all waiting: the program is over. */
  end(): void {
    this.#isOver = true;
  }

  /**
   * Waits until work has ended, or nothing happens any more because a held call is waited for. Returns whether it has
   * ended. Never throws.
   */
  async hasEnded(work: Promise<unknown>): Promise<boolean> {
    let isPending = true;
    const ending = work.then(
      () => {
        isPending = false;
      },
      () => {
        isPending = false;
      },
    );
    if (!this.#surroundings.mayHold && !this.#isAwaited) {
      await ending;
      return true;
    }
    for (let turns = 0; isPending && turns < idleTurns; ) turns = (await this.#isIdleTurn()) ? turns + 1 : 0;
    return !isPending;
  }

  #add(call: DelayedCall, isAwaited: boolean, deliver: () => Promise<unknown>): void {
    const landsBy = call.startsWith("r2.") ? Date.now() + bucketLateMs : Number.POSITIVE_INFINITY;
    this.#underway.push({ call, landsBy, isAwaited, deliver });
  }

  get #isAwaited(): boolean {
    return this.#underway.some((each) => each.isAwaited);
  }

  async #arrive(isWanted: (each: Underway) => boolean): Promise<void> {
    const arriving = this.#underway.filter(isWanted);
    if (arriving.length === 0) return;
    this.#underway = this.#underway.filter((each) => !arriving.includes(each));
    for (const { deliver } of arriving) await this.hasEnded(deliver());
    await this.settle();
  }

  /** Lets whoever waited go on, until that has ended or waits for another call. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < idleTurns; ) turns = (await this.#isQuietTurn()) ? turns + 1 : 0;
  }

  /** Lets the runtime do what there is to do; whether that was nothing. */
  async #isQuietTurn(): Promise<boolean> {
    const { activity } = this.#surroundings;
    await scheduler.wait(1);
    return this.#surroundings.activity === activity;
  }

  /** The same, where that is so because somebody waits for a held call. */
  async #isIdleTurn(): Promise<boolean> {
    return (await this.#isQuietTurn()) && this.#isAwaited;
  }

  async #poll(isDone: () => boolean): Promise<void> {
    while (!isDone() && !this.#isOver) await scheduler.wait(1);
  }
}
