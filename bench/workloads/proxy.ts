/** What `stowage proxy` adds to the time of a push, by skopeo, to each registry. */
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { writeImage } from "../../test/clients/support/oci-layout.ts";
import { makeFolder } from "../files.ts";
import { type Comparison, type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { mebibyte } from "../payload.ts";
import { locate } from "../peers.ts";
import { startServer } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

/** The most that a push through the proxy may take of the time of one straight to the registry. */
const mostTimes = 1.25;

/** Starts the proxy before a registry. */
async function startProxy({ url }: Target): Promise<{ host: string } & AsyncDisposable> {
  const main = join(projectDirectory, "src", "cli", "main.ts");
  const args = [main, "proxy", "--to", url, "--listen", "127.0.0.1:0"];
  const env = { ...process.env, DOCKER_CONFIG: join(projectDirectory, "no-such-directory") };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  const end = async () => {
    if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
  };
  const ended = once(child, "exit").then(() => [""]);
  const [first = ""] = await Promise.race([once(createInterface(child.stderr), "line"), ended]);
  const [, host] = /^stowage: (\S+) stands for /.exec(first) ?? [];
  if (host !== undefined) return { host, [Symbol.asyncDispose]: end };
  await end();
  throw new Error(`the proxy did not start: ${first}`);
}

/** Each push is of an image that no registry has seen, straight and through the proxy in turns. */
export const proxy: Workload = {
  name: "proxy",
  shows: "an image with one layer of 300 MiB, pushed by skopeo, straight and through `stowage proxy`",
  isLong: true,
  run: async ({ repetitions, isQuick, peers, progress }) => {
    if (locate("skopeo") === undefined) {
      progress("skopeo is not installed: nothing is measured");
      return { figures: [], comparisons: [] };
    }
    const layerBytes = (isQuick ? 40 : 300) * mebibyte;
    await using server = await startServer();
    await using folder = await makeFolder();
    await using stack = new AsyncDisposableStack();
    const push = async (host: string) => {
      const layout = join(folder.path, "layout");
      await writeImage(layout, randomUUID(), [layerBytes]);
      const from = `oci:${layout}`;
      const to = `docker://${host}/bench/proxy:v1`;
      const flags = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"];
      const seconds = await secondsOf(() => promisify(execFile)("skopeo", [...flags, from, to]));
      await rm(layout, { recursive: true });
      return seconds;
    };
    const figure = (name: string): Figure => ({ name, unit: "s", samples: [] });
    const pairs = [];
    for (const target of [server.target, ...peers]) {
      const { host } = stack.use(await startProxy(target));
      const straight = { host: new URL(target.url).host, figure: figure(`straight, ${target.name}`) };
      const through = { host, figure: figure(`through the proxy, ${target.name}`) };
      pairs.push({ straight, through });
    }
    const ways = pairs.flatMap(({ straight, through }) => [straight, through]);
    for (const { host } of ways) await push(host);
    await inTurns(ways, repetitions, async ({ host, figure: { name, samples } }, repetition) => {
      samples.push(await push(host));
      progress(`${name} ${repetition + 1}/${repetitions}: ${samples.at(-1)?.toFixed(2)} s`);
    });
    const comparisons = pairs.map(
      ({ straight, through }): Comparison => ({
        name: `${through.figure.name} / straight`,
        value: ratio(through.figure, straight.figure),
        unit: "times",
        limit: mostTimes,
      }),
    );
    return { figures: ways.map(({ figure: each }) => each), comparisons };
  },
};
