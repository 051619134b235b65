/** Whether the interface costs the reads of clients anything: the Worker with it, and the same without it, in turns. */
import { join } from "node:path";
import { buildWorker, projectDirectory } from "../../src/local/workerd/bundle.ts";
import { startInstance } from "../../test/support/miniflare/instance.ts";
import { makeFolder } from "../files.ts";
import { type Image, newImage, pushImage } from "../image.ts";
import { load } from "../load.ts";
import { type Comparison, type Figure, inTurns, ratio } from "../measure.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/interface";
const connections = 16;
const leastRatio = 0.97;

/**
 * The machine is slower and faster for seconds at a time, by more than what is looked for. So turns are short, and as many
 * as show it.
 */
const turnSeconds = 0.15;
const turnsEachRepetition = 40;
const accept = { Accept: "application/vnd.oci.image.manifest.v1+json" };

const kinds: Record<string, (image: Image) => string> = {
  "manifest by digest": ({ digest }) => `manifests/${digest}`,
  "manifest by tag": () => "manifests/latest",
  "blob of 10 KB": ({ layers }) => `blobs/${layers[0]?.digest}`,
  "tags list": () => "tags/list",
};

/** The Worker as it would be without the files of the interface. */
function buildWithout(): Promise<string> {
  const none = join(projectDirectory, "src", "edge", "interface", "none.ts");
  const leaveOut = {
    name: "without the interface",
    setup: (build) => build.onResolve({ filter: /^#interface$/ }, () => ({ path: none })),
  } satisfies import("esbuild").Plugin;
  return buildWorker({ plugins: [leaveOut] });
}

/** Starts a registry on an empty data directory with an image in it. */
async function start(name: string, script: string, image: Image): Promise<Target & AsyncDisposable> {
  const data = await makeFolder();
  const instance = await startInstance({
    dataDirectory: data.path,
    bucket: "disk",
    script,
    vars: { LOG_FORMAT: "none" },
  });
  const target = { name, url: instance.url };
  await pushImage(target, repository, "latest", image);
  return {
    ...target,
    [Symbol.asyncDispose]: async () => {
      await instance.dispose();
      await data[Symbol.asyncDispose]();
    },
  };
}

/** Each kind of read at full speed, of both Workers in turns. */
export const interfaceCost: Workload = {
  name: "interface",
  shows: `small reads a second on ${connections} connections, of the Worker with its interface and without`,
  run: async ({ repetitions, isQuick, progress }) => {
    const image = newImage(5, 10 * 1024);
    await using withIt = await start("with", await buildWorker(), image);
    await using without = await start("without", await buildWithout(), image);
    const turns = repetitions * (isQuick ? 1 : turnsEachRepetition);
    const figures: Figure[] = [];
    const comparisons: Comparison[] = [];
    for (const [kind, pathOf] of Object.entries(kinds)) {
      const request = {
        method: "GET",
        path: `/v2/${repository}/${pathOf(image)}`,
        headers: accept,
        status: 200,
      };
      const both = [withIt, without].map(({ name, url }) => {
        const figure: Figure = { name: `GET ${kind}, ${name}`, unit: "/s", samples: [] };
        return { url, figure };
      });
      for (const { url } of both) await load(url, request, { connections, seconds: 1 });
      await inTurns(both, turns, async ({ url, figure }) => {
        const { requestsPerSecond } = await load(url, request, { connections, seconds: turnSeconds });
        figure.samples.push(requestsPerSecond);
      });
      progress(`GET ${kind}, ${turns} turns of each`);
      const [first, second] = both.map(({ figure }) => figure);
      if (first === undefined || second === undefined) continue;
      figures.push(first, second);
      const value = ratio(first, second);
      comparisons.push({
        name: `GET ${kind}, with / without`,
        value,
        unit: "times",
        limit: leastRatio,
        isLeast: true,
      });
    }
    return { figures, comparisons };
  },
};
