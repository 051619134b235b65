/** Small reads of the local server as users run it, beside other registries. */
import { type Image, newImage, pushImage } from "../image.ts";
import { type Comparison, type Figure, inTurns, median, ratio } from "../measure.ts";
import { startServer } from "../program.ts";
import { credentialOf, type Target } from "../target.ts";
import type { Workload } from "../workload.ts";
import { hasWrk, wrk } from "../wrk.ts";

const repository = "bench/reads";
const connections = 16;
const layerBytes = 10 * 1024;
const tagCount = 100;
const accept = { Accept: "application/vnd.oci.image.manifest.v1+json" };
/** How much slower than most the slowest of a hundred may be. */
const mostSpread = 20;

const kinds: Record<string, (image: Image) => string> = {
  "manifest by digest": ({ digest }) => `manifests/${digest}`,
  "manifest by tag": () => "manifests/t0",
  "blob of 10 KB": ({ layers }) => `blobs/${layers[0]?.digest}`,
  "tags list": () => "tags/list",
};

type Load = { figure: Figure; target: Target; path: string };

function loadsOf(target: Target, image: Image): Load[] {
  return Object.entries(kinds).map(([name, pathOf]) => ({
    figure: { name: `GET ${name}, ${target.name}`, unit: "/s", samples: [], latencies: { p50: [], p99: [] } },
    target,
    path: `/v2/${repository}/${pathOf(image)}`,
  }));
}

async function fill(target: Target, image: Image): Promise<void> {
  for (let tag = 0; tag < tagCount; tag++) await pushImage(target, repository, `t${tag}`, image);
}

function spreadOf({ figure }: Load): Comparison {
  const { p50, p99 } = figure.latencies ?? { p50: [], p99: [] };
  const value = median(p99) / median(p50);
  return { name: `p99 / p50 of ${figure.name}`, value, unit: "times", limit: mostSpread };
}

/** Each kind of read at full speed, of each registry in turn. */
export const reads: Workload = {
  name: "reads",
  shows: `small reads a second on ${connections} connections, by wrk, reverse proxy included; ${tagCount} tags`,
  run: async ({ repetitions, isQuick, peers, progress }) => {
    if (!hasWrk()) {
      progress("wrk is not installed: nothing is measured");
      return { figures: [], comparisons: [] };
    }
    await using server = await startServer();
    const image = newImage(5, layerBytes);
    const targets = [server.target, ...peers];
    for (const target of targets) await fill(target, image);
    const [own = [], ...others] = targets.map((target) => loadsOf(target, image));
    // Kind by kind, so that what is compared is measured in turns.
    const loads = own.flatMap((load, kind) => [load, ...others.flatMap((each) => each[kind] ?? [])]);
    const seconds = isQuick ? 1 : 5;
    const measure = ({ target, path }: Load, duration: number) =>
      wrk(
        target.url,
        { path, headers: { ...accept, ...credentialOf(target) } },
        { connections, seconds: duration },
      );
    for (const load of loads) await measure(load, 1);
    await inTurns(loads, repetitions, async (load, repetition) => {
      const { figure } = load;
      const { requestsPerSecond, p50Ms, p99Ms } = await measure(load, seconds);
      figure.samples.push(requestsPerSecond);
      figure.latencies?.p50.push(p50Ms);
      figure.latencies?.p99.push(p99Ms);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${requestsPerSecond.toFixed(0)} /s`);
    });
    const beside = own.flatMap((load, kind) =>
      others
        .flatMap((each) => each[kind] ?? [])
        .map((peer): Comparison => {
          const name = `${load.figure.name} / ${peer.target.name}`;
          return { name, value: ratio(load.figure, peer.figure), unit: "times", limit: 1, isLeast: true };
        }),
    );
    return { figures: loads.map(({ figure }) => figure), comparisons: [...own.map(spreadOf), ...beside] };
  },
};
