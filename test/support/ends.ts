/**
 * What ends after a test. It ends in the opposite order of its beginning, so that a folder is removed once nothing
 * writes to it any more, and all of it ends though some of that fails. The runner's own hooks run in the order of their
 * registration, and none after one that failed: a program that was left running kept its file from ever ending.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** What something ends with: a test's context. */
export type Owner = { after(end: () => Promise<void>): void };

type End = () => unknown;

/** What ends together. */
export class Ends {
  readonly #stack = new AsyncDisposableStack();

  constructor(owner: Owner) {
    owner.after(() => this.#stack.disposeAsync());
  }

  add(end: End): void {
    this.#stack.defer(async () => {
      await end();
    });
  }
}

const ofTests = new WeakMap<Owner, Ends>();

/** Ends something after a test. */
export function afterTest(t: Owner, end: End): void {
  const ends = ofTests.get(t) ?? new Ends(t);
  ofTests.set(t, ends);
  ends.add(end);
}

/**
 * Ends a program after a test.
 *
 * @param graceMs how long it may take to end when it is asked to, before it is killed
 */
export function endAfterTest(t: Owner, child: ChildProcess, graceMs = 0): void {
  afterTest(t, async () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    if (graceMs > 0) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await ended;
    clearTimeout(timer);
  });
}
