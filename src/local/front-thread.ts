/**
 * The front in a thread of its own. In the thread that Miniflare is loaded in, each of the many buffers that pass
 * through the front brings nearer a collection of all that Miniflare has on the heap: a push took twice the processor
 * time.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Front, FrontOptions } from "./front.ts";

/** What the thread is told; `flush` alone is answered. */
export type FrontOrder = { what: "stop listening" } | { what: "flush"; timeoutMs: number };

/** Starts listening, in a new thread. Rejects with the system's error where that is not possible. */
export async function startFrontThread(options: FrontOptions): Promise<Front> {
  const thread = new Worker(join(import.meta.dirname, "front-main.ts"), { workerData: options });
  const tell = (order: FrontOrder) => thread.postMessage(order);
  const answer = async <T>(): Promise<T> => {
    const [message] = await once(thread, "message");
    return message;
  };
  const port = await answer<number>();
  return {
    port,
    stopListening: () => tell({ what: "stop listening" }),
    flush: (timeoutMs) => {
      tell({ what: "flush", timeoutMs });
      return answer<boolean>();
    },
  };
}
