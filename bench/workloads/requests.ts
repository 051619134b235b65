/** Small reads: how many requests a second, beside Workers that do as little as can be. */
import { startFloors } from "../floors.ts";
import { type Image, newImage, pushImage } from "../image.ts";
import { startBenchInstance, startClosedInstance } from "../instance.ts";
import { type LoadRequest, load } from "../load.ts";
import { type Comparison, type Figure, inTurns, ratio } from "../measure.ts";
import { credentialOf, type Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/requests";
const connections = 16;
const layerBytes = 10 * 1024;
const accept = { Accept: "application/vnd.oci.image.manifest.v1+json" };

type Kind = { name: string; method: string; pathOf: (image: Image) => string };

const byDigest: Kind = {
  name: "GET manifest by digest",
  method: "GET",
  pathOf: (image) => `manifests/${image.digest}`,
};
const byTag: Kind = { name: "GET manifest by tag", method: "GET", pathOf: () => "manifests/latest" };
const blob: Kind = {
  name: "GET blob of 10 KB",
  method: "GET",
  pathOf: ({ layers }) => `blobs/${layers[0]?.digest}`,
};
const tags: Kind = { name: "GET tags list", method: "GET", pathOf: () => "tags/list" };
const head: Kind = { ...blob, name: "HEAD blob", method: "HEAD" };
const kinds = [byDigest, byTag, blob, tags, head];

type Load = { figure: Figure; url: string; request: LoadRequest };

function rate(name: string): Figure {
  return { name, unit: "/s", samples: [], latencies: { p50: [], p99: [] } };
}

function loadOf({ name, method, pathOf }: Kind, target: Target, image: Image): Load {
  const path = `/v2/${repository}/${pathOf(image)}`;
  const request = { method, path, headers: { ...accept, ...credentialOf(target) }, status: 200 };
  return { figure: rate(`${name}, ${target.name}`), url: target.url, request };
}

/** What has to be asked of each kind: of which floor's rate, and how much of it. */
const goals: [kind: Kind, floor: "hello" | "row", share: number][] = [
  [byDigest, "hello", 0.8],
  [blob, "hello", 0.6],
  [byTag, "row", 0.8],
  [tags, "row", 0.7],
];
const leastWithBearer = 0.85;

/** Each small read at full speed, with a token and without; the floors in each round too. */
export const requests: Workload = {
  name: "requests",
  shows: `small reads a second on ${connections} connections; hello: a bare Worker; row: one that reads a row of an object`,
  run: async ({ repetitions, isQuick, peers, progress }) => {
    await using floors = await startFloors();
    await using open = await startBenchInstance();
    const { instance, pusher, puller } = await startClosedInstance(repository);
    await using _closed = instance;
    const image = newImage(5, layerBytes);
    for (const target of [open.target, pusher, ...peers])
      await pushImage(target, repository, "latest", image);

    const get = { method: "GET", path: "/", status: 200 };
    const floorLoads = {
      hello: { figure: rate("hello, bare Worker"), url: floors.hello, request: get },
      row: { figure: rate("row, bare Worker and object"), url: floors.row, request: get },
    };
    const own = kinds.map((kind) => ({
      kind,
      open: loadOf(kind, open.target, image),
      bearer: loadOf(kind, puller, image),
    }));
    const others = kinds.flatMap((kind) => peers.map((peer) => loadOf(kind, peer, image)));
    const loads: Load[] = [
      ...Object.values(floorLoads),
      ...own.flatMap((each) => [each.open, each.bearer]),
      ...others,
    ];
    const seconds = isQuick ? 0.2 : 2;
    for (const { url, request } of loads) await load(url, request, { connections, seconds: seconds / 2 });
    await inTurns(loads, repetitions, async ({ figure, url, request }, repetition) => {
      const { requestsPerSecond, p50Ms, p99Ms } = await load(url, request, { connections, seconds });
      figure.samples.push(requestsPerSecond);
      figure.latencies?.p50.push(p50Ms);
      figure.latencies?.p99.push(p99Ms);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${requestsPerSecond.toFixed(0)} /s`);
    });

    const comparisons = own.flatMap(({ kind, open: without, bearer }): Comparison[] => {
      const goal = goals.find(([each]) => each === kind);
      const times = { unit: "times", isLeast: true } as const;
      if (goal === undefined) return [];
      const [, floor, limit] = goal;
      const value = ratio(without.figure, floorLoads[floor].figure);
      const withBearer = ratio(bearer.figure, without.figure);
      return [
        { ...times, name: `${kind.name} / ${floor}`, value, limit },
        { ...times, name: `${kind.name}, bearer / open`, value: withBearer, limit: leastWithBearer },
      ];
    });
    return { figures: loads.map(({ figure }) => figure), comparisons };
  },
};
