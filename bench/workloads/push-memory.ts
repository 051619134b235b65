/** How much memory pushes take, and that it does not follow their size. */
import { pushStreamed, putBareParts } from "../client.ts";
import { makeFolder, writeFileDurably } from "../files.ts";
import { type BenchInstance, startBenchInstance } from "../instance.ts";
import { type Comparison, type Figure, median, secondsOf } from "../measure.ts";
import { growthDuring } from "../memory.ts";
import { newPayload, type Payload } from "../payload.ts";
import { startServer } from "../program.ts";
import type { RunContext, Workload } from "../workload.ts";

const pushes = 16;
const largeMebibytes = 256;
const warmUpMebibytes = 16;
/** Of growth on R2, and on disk, where nothing is held in parts. */
const mostMegabytes = { r2: 400, disk: 110 };
/** By how much runs of the same kind differ. */
const noiseMegabytes = 40;
/** How much longer than the disk alone all of them may take. */
const mostTimesTheDisk = 1.3;

type Push = (instance: BenchInstance, payload: Payload, index: number) => Promise<void>;

const registry: Push = ({ target }, payload, index) => pushStreamed(target, `bench/memory-${index}`, payload);
const bareObject: Push = ({ url }, payload) => putBareParts(url, payload);

/** Growth of workerd on a registry of its own, as what a process once took, it does not give back; and the time. */
type Measured = { growth: Figure; time: Figure };

function payloadsOf(mebibytes: number): Payload[] {
  return Array.from({ length: pushes }, () => newPayload(mebibytes));
}

async function measure(
  what: string,
  bucket: "r2" | "disk",
  push: Push,
  mebibytes: number,
  { progress }: RunContext,
): Promise<Measured> {
  await using instance = bucket === "disk" ? await startServer() : await startBenchInstance({ bucket });
  await push(instance, newPayload(warmUpMebibytes), 0);
  const payloads = payloadsOf(mebibytes);
  let seconds = 0;
  const grown = await growthDuring(instance.workerdPid, async () => {
    seconds = await secondsOf(() =>
      Promise.all(payloads.map((payload, index) => push(instance, payload, index))),
    );
  });
  const name = `${what}, ${pushes} × ${mebibytes} MiB`;
  progress(`${name}: ${grown.toFixed(0)} MB in ${seconds.toFixed(1)} s`);
  return { growth: { name, unit: "MB", samples: [grown] }, time: { name, unit: "s", samples: [seconds] } };
}

/** What the disk takes for as much. */
async function measureDisk(mebibytes: number): Promise<Figure> {
  await using folder = await makeFolder();
  const seconds = await secondsOf(async () => {
    for (const payload of payloadsOf(mebibytes)) await writeFileDurably(folder.path, payload);
  });
  return { name: `bare files, ${pushes} × ${mebibytes} MiB`, unit: "s", samples: [seconds] };
}

function growthAtMost({ growth }: Measured, limit: number): Comparison {
  return { name: growth.name, value: median(growth.samples), unit: "MB", limit };
}

/** Sixteen streamed pushes at once, of one size and of twice that size. */
export const pushMemory: Workload = {
  name: "push-memory",
  shows: `growth of workerd's resident memory while ${pushes} streamed pushes run at once, and how long they take`,
  run: async (context) => {
    const mebibytes = context.isQuick ? warmUpMebibytes : largeMebibytes;
    const disk = await measure("stowage on disk", "disk", registry, mebibytes, context);
    const file = await measureDisk(mebibytes);
    const r2 = await measure("stowage on R2", "r2", registry, mebibytes, context);
    const twice = await measure("stowage on R2", "r2", registry, 2 * mebibytes, context);
    const floor = await measure("bare object on R2", "r2", bareObject, mebibytes, context);
    const all = [disk, r2, twice, floor];
    return {
      figures: [...all.map(({ growth }) => growth), ...all.map(({ time }) => time), file],
      comparisons: [
        growthAtMost(disk, mostMegabytes.disk),
        {
          name: `${disk.time.name} / ${file.name}`,
          value: median(disk.time.samples) / median(file.samples),
          unit: "times",
          limit: mostTimesTheDisk,
        },
        growthAtMost(r2, mostMegabytes.r2),
        {
          name: "twice the size on R2 - the size",
          value: median(twice.growth.samples) - median(r2.growth.samples),
          unit: "MB",
          limit: noiseMegabytes,
        },
      ],
    };
  },
};
