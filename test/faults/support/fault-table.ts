/** Which calls to bindings go wrong, and how many did. */
import type { Fault, FaultEffect, FaultTarget } from "./program.ts";

/** How long a call takes that stalls, in milliseconds: longer than a lease, so that what was lent is lost. */
const stallMs = 70_000;

/** The faults of one world. */
export class FaultTable {
  /** The targets of all calls that went wrong. */
  readonly fired: FaultTarget[] = [];
  readonly #advanceClock: (milliseconds: number) => void;
  readonly #note: (line: string) => void;
  #armed: Fault[] = [];
  #suspensions = 0;
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

  /** What goes wrong with this call; `undefined`: nothing. To be asked once a call. */
  take(target: FaultTarget, detail = ""): FaultEffect | undefined {
    if (this.#suspensions > 0) return undefined;
    const fault = this.#armed.find((each) => each.target === target && each.times > 0);
    if (fault === undefined) return undefined;
    if (fault.skip > 0) {
      fault.skip--;
      return undefined;
    }
    fault.times--;
    this.fired.push(target);
    this.#note(`  ${fault.effect}: ${target} ${detail}`);
    return fault.effect;
  }

  /** Does what a call to a store comes to under an effect that {@link take} gave. */
  async apply<T>(effect: FaultEffect | undefined, call: () => Promise<T>): Promise<T> {
    if (effect === "fail") throw new Error("internal error (10001)");
    if (effect === "slow") await this.delay();
    const result = await call();
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
