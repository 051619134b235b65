/** Whether others are answered while a large blob is pushed. */
import { setTimeout as delay } from "node:timers/promises";
import { ping, pushStreamed, putBareParts } from "../client.ts";
import { startBenchInstance } from "../instance.ts";
import { type Figure, secondsOf } from "../measure.ts";
import { newPayload, type Payload } from "../payload.ts";
import type { RunContext, Workload } from "../workload.ts";

const largeMebibytes = 256;
const warmUpMebibytes = 16;
const pauseMs = 50;
const mostSeconds = 1;

type Push = (url: string, payload: Payload) => Promise<void>;

const registry: Push = (url, payload) => pushStreamed({ name: "stowage", url }, "bench/latency", payload);

/** Times of small requests, one after the other, for as long as a push takes. */
async function measure(what: string, push: Push, { progress, isQuick }: RunContext): Promise<Figure> {
  const mebibytes = isQuick ? warmUpMebibytes : largeMebibytes;
  await using instance = await startBenchInstance({ bucket: "r2" });
  const { url } = instance;
  await push(url, newPayload(warmUpMebibytes));
  const samples: number[] = [];
  let isPushing = true;
  const pushing = push(url, newPayload(mebibytes)).finally(() => {
    isPushing = false;
  });
  while (isPushing) {
    // A connection that breaks counts with the time that it took.
    samples.push(await secondsOf(() => ping(url).catch(() => {})));
    await delay(pauseMs);
  }
  await pushing;
  progress(`${what}: ${samples.length} requests, the slowest took ${Math.max(...samples).toFixed(2)} s`);
  return { name: `GET /v2/ while ${what} takes ${mebibytes} MiB`, unit: "s", samples };
}

/** The smallest request there is, while the same process is busy with a streamed push. */
export const latencyUnderPush: Workload = {
  name: "latency-under-push",
  shows: `how long GET /v2/ takes while a blob of ${largeMebibytes} MiB is pushed`,
  run: async (context) => {
    const figure = await measure("the registry", registry, context);
    const floor = await measure("a bare object", putBareParts, context);
    const slowest = Math.max(...figure.samples);
    return {
      figures: [figure, floor],
      comparisons: [{ name: "the slowest answer", value: slowest, unit: "s", limit: mostSeconds }],
    };
  },
};
