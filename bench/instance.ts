/** A registry to measure: the real one, with the floors beside it, its data on disk. */

import { commandOf } from "../src/local/processes.ts";
import type { Variables } from "../src/settings/settings.ts";
import { startInstance } from "../test/support/miniflare/instance.ts";
import type { BucketKind } from "../test/support/miniflare/options.ts";
import { workerOptions } from "../test/support/miniflare/options.ts";
import { makeFolder } from "./files.ts";
import { withDescendants } from "./memory.ts";
import type { Target } from "./target.ts";

/** A running registry of which the memory can be read. */
export interface BenchInstance extends AsyncDisposable {
  url: string;
  /** It, as what is measured. */
  target: Target;
  /** The process that runs Worker, objects and simulators. */
  workerdPid: number;
}

/** How a registry is run: where it keeps its blobs, as `npm start` does if that is not said; and its variables. */
export interface BenchOptions {
  bucket?: BucketKind;
  vars?: Variables;
}

function isWorkerd(pid: number): boolean {
  return /\/workerd\b.* serve /.test(commandOf(pid) ?? "");
}

/** Starts a registry on an empty data directory, which is removed in the end. */
export async function startBenchInstance({
  bucket = "disk",
  vars = {},
}: BenchOptions = {}): Promise<BenchInstance> {
  const data = await makeFolder();
  const others = new Set(withDescendants(process.pid));
  const { durableObjects } = await workerOptions({ script: "" });
  const instance = await startInstance({
    dataDirectory: data.path,
    bucket,
    entry: "bench/worker/entry.ts",
    vars: { LOG_FORMAT: "none", ...vars },
    miniflare: {
      durableObjects: { ...durableObjects, BARE_OBJECT: { className: "BareObject", useSQLite: true } },
    },
  });
  const pid = withDescendants(process.pid).find((each) => !others.has(each) && isWorkerd(each));
  if (pid === undefined) throw new Error("workerd's process is not known");
  return {
    url: instance.url,
    target: { name: `stowage on ${bucket === "disk" ? "disk" : "R2"}`, url: instance.url },
    workerdPid: pid,
    [Symbol.asyncDispose]: async () => {
      await instance.dispose();
      await data[Symbol.asyncDispose]();
    },
  };
}

const password = "only for a benchmark";

/**
 * Starts a registry that lets nobody in without a token; as two targets, which may push and which may pull. `vars`: its
 * variables besides.
 */
export async function startClosedInstance(
  repository: string,
  vars: Variables = {},
): Promise<{ instance: BenchInstance; pusher: Target; puller: Target }> {
  const instance = await startBenchInstance({ vars: { ADMIN_PASSWORD: password, TOKEN_TTL: "1h", ...vars } });
  const basic = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
  const bearer = async (name: string, actions: string): Promise<Target> => {
    const url = `${instance.url}/token?service=stowage&scope=repository:${repository}:${actions}`;
    const answer = await fetch(url, { headers: { Authorization: basic } });
    const { token } = (await answer.json()) as { token: string };
    return { name, url: instance.url, authorization: `Bearer ${token}` };
  };
  const pusher = await bearer("stowage with bearer", "pull,push");
  return { instance, pusher, puller: await bearer("stowage with bearer", "pull") };
}
