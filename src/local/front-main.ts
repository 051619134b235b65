/** What runs in the front's thread; see front-thread.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { type FrontOptions, startFront } from "./front.ts";
import type { FrontOrder } from "./front-thread.ts";

const front = await startFront(workerData as FrontOptions);
parentPort?.on("message", async (order: FrontOrder) => {
  if (order.what === "stop listening") front.stopListening();
  else parentPort?.postMessage(await front.flush(order.timeoutMs));
});
parentPort?.postMessage(front.port);
