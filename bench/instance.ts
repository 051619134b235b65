/** A registry to measure: the real one, with the floors beside it, its data on disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInstance } from "../src/local/instance.ts";
import { workerOptions } from "../src/local/options.ts";
import { workerdPid } from "../src/local/workerd-process.ts";

/** A running registry of which the memory can be read. */
export interface BenchInstance extends AsyncDisposable {
  url: string;
  /** The process that runs Worker, objects and simulators. */
  workerdPid: number;
}

/** Starts a registry on an empty data directory, which is removed in the end. */
export async function startBenchInstance(): Promise<BenchInstance> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "stowage-bench-"));
  const { durableObjects } = await workerOptions({ script: "" });
  const instance = await startInstance({
    dataDirectory,
    entry: "bench/worker/entry.ts",
    vars: { LOG_FORMAT: "none" },
    miniflare: {
      durableObjects: { ...durableObjects, BARE_OBJECT: { className: "BareObject", useSQLite: true } },
    },
  });
  const pid = workerdPid(dataDirectory);
  if (pid === undefined) throw new Error("workerd's process is not known");
  return {
    url: instance.url,
    workerdPid: pid,
    [Symbol.asyncDispose]: async () => {
      await instance.dispose();
      await rm(dataDirectory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
