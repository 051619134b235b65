/** Which calls to bindings go wrong, and how many did. */
import { DelayedCalls } from "./delayed-calls.ts";
import type { DelayedCall, Fault, FaultEffect, FaultTarget } from "./program.ts";

/** How long a call takes that stalls, in milliseconds: longer than a lease, so that what was lent is lost. */
const stallMs = 70_000;

/** Effects on a call that somebody waits for until the program lets it go. */
const holding: ReadonlySet<FaultEffect> = new Set<FaultEffect>(["held", "answer held"]);

/** The faults of one world. */
export class FaultTable {
  /** The calls that are under way. */
  readonly delayed = new DelayedCalls(this);
  /** How many calls there were. */
  activity = 0;
  /** The targets of all calls that went wrong. */
  readonly fired: FaultTarget[] = [];
  readonly #advanceClock: (milliseconds: number) => void;
  readonly #note: (line: string) => void;
  #armed: Fault[] = [];
  #suspensions = 0;
  #holders = 0;
  #unheld = 0;
  #slowCalls = 0;

  /** `note` is told of each call that goes wrong. */
  constructor(note: (line: string) => void, advanceClock: (milliseconds: number) => void) {
    this.#note = note;
    this.#advanceClock = advanceClock;
  }

  arm(fault: Fault): void {
    this.#armed.push({ ...fault });
  }

  /** From now on everything works. */
  heal(): void {
    this.#armed = [];
  }

  /** Runs work during which everything works, and no fault is used up. */
  async suspended<T>(work: () => Promise<T>): Promise<T> {
    this.#suspensions++;
    try {
      return await work();
    } finally {
      this.#suspensions--;
    }
  }

  /**
   * Runs work whose calls may be held. Returns whether it has ended; if not, it waits for one of them.
   */
  async untilHeld(work: () => Promise<unknown>): Promise<boolean> {
    this.#holders++;
    try {
      return await this.delayed.hasEnded(work());
    } finally {
      this.#holders--;
    }
  }

  /** Runs work none of whose calls are held, as all of it is waited for. */
  async withoutHolding<T>(work: () => Promise<T>): Promise<T> {
    this.#unheld++;
    try {
      return await work();
    } finally {
      this.#unheld--;
    }
  }

  get #isHolding(): boolean {
    return this.#holders > 0 && this.#unheld === 0;
  }

  /** Whether a call may be held. */
  get mayHold(): boolean {
    return this.#isHolding && this.#armed.some((each) => holding.has(each.effect) && each.times > 0);
  }

  /** What goes wrong with this call; `undefined`: nothing. To be asked once a call. */
  take(target: FaultTarget, detail = ""): FaultEffect | undefined {
    this.activity++;
    if (this.#suspensions > 0) return undefined;
    const fault = this.#armed.find(
      (each) =>
        (each.target === target || target.startsWith(`${each.target}.`)) &&
        each.times > 0 &&
        (this.#isHolding || !holding.has(each.effect)),
    );
    if (fault === undefined) return undefined;
    if (fault.skip > 0) {
      fault.skip--;
      return undefined;
    }
    fault.times--;
    this.fired.push(fault.target);
    this.#note(`  ${fault.effect}: ${target} ${detail}`);
    return fault.effect;
  }

  /** Does what a call to a store comes to under an effect that {@link take} gave. */
  async apply<T>(target: FaultTarget, effect: FaultEffect | undefined, call: () => Promise<T>): Promise<T> {
    if (effect === "fail") throw new Error("internal error (10001)");
    if (effect === "slow") await this.delay();
    if (effect === "held") return this.delayed.request(target as DelayedCall, call);
    const result = await call();
    if (effect === "again") this.delayed.later(target as DelayedCall, call);
    if (effect === "answer held") await this.delayed.answer(target as DelayedCall);
    await this.answer(effect);
    if (effect === "lost" || effect === "time out") throw new Error("connection lost");
    return result;
  }

  /** Lets the time pass that an answer takes under an effect. */
  async answer(effect: FaultEffect | undefined): Promise<void> {
    if (effect === "slow answer") await this.delay();
    if (effect === "stall" || effect === "time out") this.#advanceClock(stallMs);
  }

  /** Waits until the program waits: the runtime looks at its timers only when nobody has anything else to do. */
  async delay(): Promise<void> {
    this.#slowCalls++;
    await scheduler.wait(1);
    this.#slowCalls--;
  }

  /** Lets slow calls end. */
  async slowCallsEnd(): Promise<void> {
    for (let round = 0; this.#slowCalls > 0 && round < 100; round++) await scheduler.wait(2);
  }
}
