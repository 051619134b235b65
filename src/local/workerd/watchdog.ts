/** Notices that workerd hangs: it runs, but never listens, or answers nothing any more, not even what needs no Worker. */
import { connect, type Socket } from "node:net";
import type { Channel } from "../channels.ts";

/**
 * How often workerd is asked, and after how many times without a byte of an answer it is given up. One that does not listen
 * yet has as long to begin.
 */
export interface WatchTimes {
  everyMs: number;
  mostSilent: number;
}

export const watchTimes: WatchTimes = { everyMs: 15_000, mostSilent: 8 };

/** Not HTTP: workerd itself answers it with an error, and tells neither the Worker nor the log. */
const question = "?\r\n\r\n";

/**
 * Asks workerd at its socket whether it is alive, until the signal aborts or it hangs. What is counted are questions,
 * not seconds: where this process was paused with workerd, neither has been silent.
 *
 * @param onHang is called once, with the silence in words
 */
export function watch(
  address: Channel,
  times: WatchTimes,
  ended: AbortSignal,
  onHang: (words: string) => void,
): void {
  let socket: Socket | undefined;
  let silent = 0;
  const ask = () => {
    if (silent >= times.mostSilent) {
      stop();
      onHang(`did not answer for ${(silent * times.everyMs) / 1000} s`);
      return;
    }
    silent++;
    if (socket !== undefined) return;
    const asked = connect(address);
    socket = asked;
    const answered = () => {
      silent = 0;
      asked.destroy();
    };
    asked.on("data", answered).on("end", answered);
    // An error is no answer: where connections wait that nobody accepts, the system refuses more of them.
    asked
      .on("error", () => {})
      .on("close", () => {
        socket = undefined;
      });
    asked.unref().write(question);
  };
  const timer = setInterval(ask, times.everyMs).unref();
  const stop = () => {
    clearInterval(timer);
    socket?.destroy();
  };
  ended.addEventListener("abort", stop, { once: true });
}

/**
 * Waits for workerd to listen, until the signal aborts or it has taken too long. As in {@link watch}, a pause of this
 * process does not count.
 *
 * @param onHang is called once, with the wait in words
 */
export function watchStart(times: WatchTimes, ended: AbortSignal, onHang: (words: string) => void): void {
  let waited = 0;
  const timer = setInterval(() => {
    if (++waited < times.mostSilent) return;
    clearInterval(timer);
    onHang(`did not listen within ${(waited * times.everyMs) / 1000} s`);
  }, times.everyMs);
  ended.addEventListener("abort", () => clearInterval(timer), { once: true });
}
