/** What the registry adds to the time that the bucket takes. */
import { pushStreamed, putBare, putBareParts } from "../client.ts";
import { startBenchInstance } from "../instance.ts";
import { median, secondsOf } from "../measure.ts";
import { newPayload, type Payload } from "../payload.ts";
import type { Workload } from "../workload.ts";

const mebibytes = 256;
const warmUpMebibytes = 16;
const mostTimesTheFloor = 1.3;

/** One blob streamed into the registry, and the same bytes straight into the bucket. */
export const streamedPush: Workload = {
  name: "streamed-push",
  shows: `a blob of ${mebibytes} MiB, pushed with one PATCH of unknown length, against the same bytes written to R2`,
  run: async ({ repetitions, progress }) => {
    await using instance = await startBenchInstance();
    const { url } = instance;
    const ways = [
      { name: "registry", samples: [] as number[], push: (p: Payload) => pushStreamed(url, "bench/push", p) },
      { name: "bare put", samples: [] as number[], push: (p: Payload) => putBare(url, p) },
      {
        name: "bare object, 5 MiB parts",
        samples: [] as number[],
        push: (p: Payload) => putBareParts(url, p),
      },
    ];
    for (const { push } of ways) await push(newPayload(warmUpMebibytes));
    for (let repetition = 0; repetition < repetitions; repetition++) {
      // Each way begins once, so that none always profits from what the one before it left to the disk.
      for (let turn = 0; turn < ways.length; turn++) {
        const way = ways[(repetition + turn) % ways.length];
        if (way === undefined) continue;
        const payload = newPayload(mebibytes);
        const seconds = await secondsOf(() => way.push(payload));
        way.samples.push(seconds);
        progress(`${way.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
      }
    }
    const [registry = 0, ...floors] = ways.map(({ samples }) => median(samples));
    return {
      figures: ways.map(({ name, samples }) => ({ name, unit: "s", samples })),
      comparisons: floors.map((floor, index) => ({
        name: `registry / ${ways[index + 1]?.name}`,
        value: registry / floor,
        unit: "times",
        limit: mostTimesTheFloor,
      })),
    };
  },
};
