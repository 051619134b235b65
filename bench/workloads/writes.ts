/** Small writes: blobs and manifests a second. */
import { Agent } from "node:http";
import { pushWhole } from "../client.ts";
import { manifestOf, newImage, pushImage } from "../image.ts";
import { load } from "../load.ts";
import { type Figure, inTurns, secondsOf } from "../measure.ts";
import { payloadOf } from "../payload.ts";
import { startServer } from "../program.ts";
import { credentialOf, type Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/writes";
const connections = 16;
const blobBytes = 10 * 1024;

type Write = { figure: Figure; measure: (seconds: number) => Promise<number> };

/** Pushes blobs on so many connections at once, each with POST and PUT; returns how many a second. */
async function pushBlobs(target: Target, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const blobs = Array.from({ length: count }, () => payloadOf(blobBytes));
  const work = async () => {
    for (let blob = blobs.pop(); blob !== undefined; blob = blobs.pop()) {
      await pushWhole(target, repository, blob, agent);
    }
  };
  const seconds = await secondsOf(() => Promise.all(Array.from({ length: connections }, work)));
  agent.destroy();
  return count / seconds;
}

function manifestPuts(target: Target): Write {
  const figure: Figure = {
    name: `PUT manifest with a new tag, ${target.name}`,
    unit: "/s",
    samples: [],
    latencies: { p50: [], p99: [] },
  };
  const image = newImage(5, blobBytes);
  let isPushed = false;
  let count = 0;
  const next = () => {
    const id = `${++count}`;
    return {
      method: "PUT",
      path: `/v2/${repository}/manifests/t${id}`,
      headers: {
        "Content-Type": "application/vnd.oci.image.manifest.v1+json",
        ...credentialOf(target),
      },
      body: manifestOf(image.config, image.layers, id),
      status: 201,
    };
  };
  return {
    figure,
    measure: async (seconds) => {
      if (!isPushed) await pushImage(target, repository, "latest", image);
      isPushed = true;
      const { requestsPerSecond, p50Ms, p99Ms } = await load(target.url, next, { connections, seconds });
      figure.latencies?.p50.push(p50Ms);
      figure.latencies?.p99.push(p99Ms);
      return requestsPerSecond;
    },
  };
}

/** Blobs of 10 KB, and manifests of five layers under a tag of their own. */
export const writes: Workload = {
  name: "writes",
  shows: `blobs of 10 KB (POST and PUT) and manifests a second, on ${connections} connections`,
  run: async ({ repetitions, isQuick, peers, progress }) => {
    await using instance = await startServer();
    const targets = [instance.target, ...peers];
    const blobs = targets.map((target): Write => {
      const figure: Figure = { name: `push blob of 10 KB, ${target.name}`, unit: "/s", samples: [] };
      return { figure, measure: (seconds) => pushBlobs(target, seconds * 200) };
    });
    const all = [...blobs, ...targets.map(manifestPuts)];
    const seconds = isQuick ? 0.2 : 2;
    await inTurns(all, repetitions, async ({ figure, measure }, repetition) => {
      const perSecond = await measure(seconds);
      figure.samples.push(perSecond);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${perSecond.toFixed(0)} /s`);
    });
    return { figures: all.map(({ figure }) => figure), comparisons: [] };
  },
};
