/** How soon the registry is there: from `npm start` to ready, the first request, and the size of the Worker. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import { buildWorker, projectDirectory } from "../../src/local/bundle.ts";
import { ping } from "../client.ts";
import { newImage, pushImage } from "../image.ts";
import { type Figure, secondsOf } from "../measure.ts";
import type { Workload } from "../workload.ts";

/** Starts the local server on a data directory and waits for its ready line. */
async function start(data: string): Promise<{ child: ChildProcess; url: string }> {
  const main = join(projectDirectory, "src", "local", "main.ts");
  const args = [main, "--port", "0", "--data", data, "--log", "none"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(child.stdout)) {
    const [, url] = /^stowage is ready at (\S+)$/.exec(line) ?? [];
    if (url !== undefined) return { child, url };
  }
  throw new Error("the local server ended before it was ready");
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** Pushes one small image into each of many repositories. */
async function fill(url: string, repositories: number): Promise<void> {
  const image = newImage(1, 1024);
  for (let count = 0; count < repositories; count++) {
    await pushImage({ name: "stowage", url }, `bench/r${count}`, "latest", image);
  }
}

/** Starts the local server on the data of many repositories, again and again. */
export const startUp: Workload = {
  name: "start",
  shows:
    "from the start of the local server, with 1,000 repositories, to its ready line, and to its first answer",
  run: async ({ repetitions, isQuick, progress }) => {
    const data = await mkdtemp(join(tmpdir(), "stowage-bench-start-"));
    const repositories = isQuick ? 20 : 1000;
    const ready: Figure = { name: `to ready, ${repositories} repositories`, unit: "s", samples: [] };
    const first: Figure = { name: "first GET /v2/ after it", unit: "s", samples: [] };
    try {
      const filling = await start(data);
      await fill(filling.url, repositories);
      await stop(filling.child);
      for (let repetition = 0; repetition < repetitions; repetition++) {
        let running: { child: ChildProcess; url: string } | undefined;
        ready.samples.push(
          await secondsOf(async () => {
            running = await start(data);
          }),
        );
        if (running === undefined) throw new Error("it was started");
        const { url, child } = running;
        first.samples.push(await secondsOf(() => ping(url)));
        await stop(child);
        progress(`${ready.name} ${repetition + 1}/${repetitions}: ${ready.samples.at(-1)?.toFixed(2)} s`);
      }
    } finally {
      await rm(data, { recursive: true, force: true, maxRetries: 3 });
    }
    const script = await buildWorker();
    const size = (name: string, bytes: number): Figure => ({ name, unit: "kB", samples: [bytes / 1000] });
    const sizes = [
      size("the Worker's bundle", Buffer.byteLength(script)),
      size("the same, compressed", gzipSync(script).byteLength),
    ];
    return { figures: [ready, first, ...sizes], comparisons: [] };
  },
};
