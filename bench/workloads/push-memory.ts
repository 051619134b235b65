/** How much memory pushes take, and that it does not follow their size. */
import { pushStreamed, putBareParts } from "../client.ts";
import { startBenchInstance } from "../instance.ts";
import { type Figure, median } from "../measure.ts";
import { growthDuring } from "../memory.ts";
import { newPayload, type Payload } from "../payload.ts";
import type { RunContext, Workload } from "../workload.ts";

const pushes = 16;
const warmUpMebibytes = 16;
const mostMegabytes = 400;
/** By how much runs of the same kind differ. */
const noiseMegabytes = 40;

type Push = (url: string, payload: Payload, index: number) => Promise<void>;

const registry: Push = (url, payload, index) =>
  pushStreamed({ name: "stowage", url }, `bench/memory-${index}`, payload);
const bareObject: Push = (url, payload) => putBareParts(url, payload);

/** Growth of workerd on a registry of its own: what a process once took, it does not give back. */
async function measure(what: string, push: Push, size: number, { progress }: RunContext): Promise<Figure> {
  await using instance = await startBenchInstance();
  const { url, workerdPid } = instance;
  await push(url, newPayload(warmUpMebibytes), 0);
  const payloads = Array.from({ length: pushes }, () => newPayload(size));
  const grown = await growthDuring(workerdPid, () =>
    Promise.all(payloads.map((payload, index) => push(url, payload, index))),
  );
  const name = `${what}, ${pushes} × ${size} MiB`;
  progress(`${name}: ${grown.toFixed(0)} MB`);
  return { name, unit: "MB", samples: [grown] };
}

/** Sixteen streamed pushes at once, of one size and of twice that size. */
export const pushMemory: Workload = {
  name: "push-memory",
  shows: `growth of workerd's resident memory while ${pushes} streamed pushes run at once`,
  run: async (context) => {
    const mebibytes = context.isQuick ? 16 : 256;
    const small = await measure("registry", registry, mebibytes, context);
    const large = await measure("registry", registry, 2 * mebibytes, context);
    const floor = await measure("bare object", bareObject, mebibytes, context);
    const largeFloor = await measure("bare object", bareObject, 2 * mebibytes, context);
    return {
      figures: [small, large, floor, largeFloor],
      comparisons: [
        { name: small.name, value: median(small.samples), unit: "MB", limit: mostMegabytes },
        {
          name: "twice the size - the size",
          value: median(large.samples) - median(small.samples),
          unit: "MB",
          limit: noiseMegabytes,
        },
      ],
    };
  },
};
