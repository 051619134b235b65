/** How soon the registry is there: from `npm start` to ready, the first request, and the size of the Worker. */
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { buildWorker } from "../../src/local/workerd/bundle.ts";
import { ping } from "../client.ts";
import { makeFolder } from "../files.ts";
import { newImage, pushImage } from "../image.ts";
import { installed } from "../installed.ts";
import { type Figure, secondsOf } from "../measure.ts";
import { proportionalMegabytes } from "../memory.ts";
import { startProgram } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

/** What is loaded at a start has settled after this time. */
const settleMs = 3_000;

/** Pushes one small image into each of many repositories. */
async function fill(target: Target, repositories: number): Promise<void> {
  const image = newImage(1, 1024);
  for (let count = 0; count < repositories; count++) {
    await pushImage(target, `bench/r${count}`, "latest", image);
  }
}

/** Starts the local server on the data of many repositories, again and again. */
export const startUp: Workload = {
  name: "start",
  shows:
    "from the start of the local server, with 1,000 repositories, to its ready line, and to its first answer; memory, packages",
  run: async ({ repetitions, isQuick, progress }) => {
    await using data = await makeFolder();
    const repositories = isQuick ? 20 : 1000;
    const memory: Figure = {
      name: "memory of all processes, idle after a start (PSS)",
      unit: "MB",
      samples: [],
    };
    const ready: Figure = { name: `to ready, ${repositories} repositories`, unit: "s", samples: [] };
    const first: Figure = { name: "first GET /v2/ after it", unit: "s", samples: [] };
    {
      await using filled = await startProgram(data.path);
      await fill(filled, repositories);
    }
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const startedAt = performance.now();
      await using running = await startProgram(data.path);
      ready.samples.push((performance.now() - startedAt) / 1000);
      first.samples.push(await secondsOf(() => ping(running.url)));
      await delay(isQuick ? 0 : settleMs);
      memory.samples.push(proportionalMegabytes(running.pid));
      progress(`${ready.name} ${repetition + 1}/${repetitions}: ${ready.samples.at(-1)?.toFixed(2)} s`);
    }
    const script = await buildWorker();
    const size = (name: string, bytes: number): Figure => ({ name, unit: "kB", samples: [bytes / 1000] });
    const { packages, megabytes } = installed();
    const dependencies: Figure[] = [
      { name: "packages at run time", unit: "", samples: [packages] },
      { name: "their files", unit: "MB", samples: [megabytes] },
    ];
    const sizes = [
      size("the Worker's bundle", Buffer.byteLength(script)),
      size("the same, compressed", gzipSync(script).byteLength),
    ];
    return { figures: [ready, first, memory, ...dependencies, ...sizes], comparisons: [] };
  },
};
