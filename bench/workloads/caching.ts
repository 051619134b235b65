/** Pulls through the cache of an upstream of what is not here yet, by one client and by four at once. */

import { pushWhole } from "../client.ts";
import { download } from "../download.ts";
import { type Comparison, type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { newPayload, type Payload } from "../payload.ts";
import { startPeer } from "../peers.ts";
import { startServer } from "../program.ts";
import type { RunContext, Workload } from "../workload.ts";

const repository = "bench/cold";
const clients = 4;

/** The most that a cold pull of four clients may be of what they take straight from the upstream. */
const mostTimes = 1.5;
/** The most that the first byte may take, in seconds. */
const mostFirstByte = 0.5;

/** Pulls at once by so many clients. */
async function pullAtOnce(url: string, name: string, { digest }: Payload, count: number): Promise<void> {
  const blob = new URL(`/v2/${name}/blobs/${digest}`, url);
  await Promise.all(Array.from({ length: count }, () => download(blob, {})));
}

/** How long it takes to the first byte of the body, in seconds; the rest is read, too. */
async function firstByteOf(url: string, name: string, { digest }: Payload): Promise<number> {
  const start = performance.now();
  const response = await fetch(new URL(`/v2/${name}/blobs/${digest}`, url));
  let first = 0;
  for await (const _ of response.body ?? []) first ||= performance.now() - start;
  return first / 1000;
}

/** A blob of 300 MB that an upstream has and the cache has not. The upstream is distribution. */
export const coldPulls: Workload = {
  name: "cold-pulls",
  shows: "a blob of 300 MB pulled through the cache of distribution, by one client and by four at once",
  run: async ({ repetitions, isQuick, progress }: RunContext) => {
    await using upstream = await startPeer("distribution");
    if (upstream === undefined) throw new Error("distribution (`registry` 3) is not installed");
    const settings = [{ id: "up", url: upstream.url, private: true, insecure: true }];
    await using cache = await startServer({ UPSTREAMS: JSON.stringify(settings) });
    const mebibytes = isQuick ? 16 : 286;
    const figure = (name: string): Figure => ({ name, unit: "s", samples: [] });
    const straight = figure(`${clients} clients straight from the upstream`);
    const one = figure("one client, cold");
    const four = figure(`${clients} clients at once, cold`);
    const warm = figure(`${clients} clients at once, of what is here`);
    const first = figure("first byte, cold");
    await inTurns([straight, one, four, warm, first], repetitions, async (measured, repetition) => {
      const payload = newPayload(mebibytes);
      await pushWhole(upstream, repository, payload);
      const name = `up/${repository}`;
      if (measured === warm) await pullAtOnce(cache.url, name, payload, 1);
      const seconds =
        measured === first
          ? await firstByteOf(cache.url, name, payload)
          : await secondsOf(() =>
              measured === straight
                ? pullAtOnce(upstream.url, repository, payload, clients)
                : pullAtOnce(cache.url, name, payload, measured === one ? 1 : clients),
            );
      measured.samples.push(seconds);
      progress(`${measured.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
    });
    const comparisons: Comparison[] = [
      {
        name: `${four.name} / ${straight.name}`,
        value: ratio(four, straight),
        unit: "times",
        limit: mostTimes,
      },
      { name: first.name, value: Math.max(...first.samples), unit: "s", limit: mostFirstByte },
    ];
    return { figures: [straight, one, four, warm, first], comparisons };
  },
};
