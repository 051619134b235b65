/** workerd, kept running: started again when it ends by itself or hangs, and ended once its requests are finished. */
import { setTimeout as delay } from "node:timers/promises";
import type { Channel } from "../channels.ts";
import { messageOf } from "../message-of.ts";
import { signal } from "../processes.ts";
import { forgetWorkerd, startWorkerd, type Workerd, type WorkerdOptions } from "./process.ts";
import { type WatchTimes, watch, watchTimes } from "./watchdog.ts";

/** That many ends within this time are not a coincidence: it is not started again. */
const mostEnds = 5;
const endsWithinMs = 60_000;

/**
 * What to do when workerd ends by itself, or is ended because it hangs; both get the reason in words, such as
 * `was ended by the signal SIGKILL`.
 */
export interface RuntimeEvents {
  /** It was started again: its memory is lost, but no acknowledged data. */
  onRestart(reason: string): void;
  /** It is not started again, and nothing is served any more. */
  onFailure(reason: string): void;
}

/** A running workerd. */
export interface Runtime {
  /**
   * Accepts no more requests, and lets those in flight finish.
   *
   * @returns false if some were still in flight after `graceMs`; they are cut off
   */
  stop(graceMs: number): Promise<boolean>;
}

/**
 * Starts workerd and waits until it answers.
 *
 * @throws WorkerdError if it ends before that, or takes too long
 */
export async function startRuntime(
  options: WorkerdOptions,
  events: RuntimeEvents,
  times: WatchTimes = watchTimes,
): Promise<Runtime> {
  const stopping = new AbortController();
  let workerd: Workerd = await startWorkerd(options, stopping.signal, times);
  let ends: number[] = [];
  // Where the kernel does not do it.
  const kill = () => {
    stopping.abort();
    signal(workerd.pid, "SIGKILL");
  };
  process.on("exit", kill);

  const keep = async () => {
    for (;;) {
      const reason = await endOf(workerd, options.channels.worker, times, stopping.signal);
      if (stopping.signal.aborted) return;
      const now = performance.now();
      ends = [...ends.filter((endedAt) => now - endedAt < endsWithinMs), now];
      if (ends.length >= mostEnds) {
        events.onFailure(`${reason}, for the ${mostEnds}th time within ${endsWithinMs / 1000} s`);
        return;
      }
      try {
        workerd = await startWorkerd(options, stopping.signal, times);
      } catch (error) {
        if (stopping.signal.aborted) return;
        events.onFailure(`${reason}, and ${messageOf(error)}`);
        return;
      }
      // It began to listen at the moment at which it was to be stopped.
      if (stopping.signal.aborted) signal(workerd.pid, "SIGKILL");
      else events.onRestart(reason);
    }
  };
  const kept = keep();

  return {
    stop: async (graceMs) => {
      stopping.abort();
      signal(workerd.pid, "SIGTERM");
      const hasFinished = await Promise.race([
        workerd.ended.then(() => true),
        delay(graceMs, false, { ref: false }),
      ]);
      if (!hasFinished) signal(workerd.pid, "SIGKILL");
      await kept;
      process.off("exit", kill);
      forgetWorkerd(options.dataDirectory);
      return hasFinished;
    },
  };
}

/** Resolves once workerd has ended, with the reason. One that hangs is ended. */
async function endOf(
  { pid, ended }: Workerd,
  address: Channel,
  times: WatchTimes,
  stopping: AbortSignal,
): Promise<string> {
  const watching = new AbortController();
  let silence: string | undefined;
  watch(address, times, AbortSignal.any([watching.signal, stopping]), (words) => {
    silence = words;
    signal(pid, "SIGKILL");
  });
  const end = await ended;
  watching.abort();
  return silence === undefined ? end : `${silence}, and ${end}`;
}
