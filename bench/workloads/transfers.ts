/** Large blobs: what the registry adds to the time that its bucket takes, and what peers take. */
import { getBare, pullBlob, pushStreamed, pushWhole, putBare, putBareParts } from "../client.ts";
import { startBenchInstance } from "../instance.ts";
import { type Comparison, type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { newPayload, type Payload } from "../payload.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/transfers";
const warmUpMebibytes = 16;
const mostTimesTheFloor = 1.1;
const mostTimesTheObject = 1.3;

type Way = { figure: Figure; transfer: (payload: Payload) => Promise<void>; pulls?: Payload };

/** One blob pushed streamed and whole, and pulled; and the same bytes straight to and from the bucket. */
export const transfers: Workload = {
  name: "transfers",
  shows: "a blob of 256 MiB pushed streamed (one PATCH of unknown length) and whole (one PUT), and pulled",
  run: async ({ repetitions, isQuick, peers, progress }) => {
    await using instance = await startBenchInstance();
    const { url } = instance;
    const mebibytes = isQuick ? warmUpMebibytes : 256;
    const stored = newPayload(mebibytes);
    const ways: Way[] = [];
    const add = (name: string, transfer: Way["transfer"], pulls?: Payload): Figure => {
      const figure: Figure = { name: `${name}, ${mebibytes} MiB`, unit: "s", samples: [] };
      ways.push({ figure, transfer, ...(pulls && { pulls }) });
      return figure;
    };
    const targets = [instance.target, ...peers];
    const [pushed, whole, pulled] = targets.map((target) => {
      return [
        add(`push streamed, ${target.name}`, (payload) => pushStreamed(target, repository, payload)),
        add(`push whole, ${target.name}`, (payload) => pushWhole(target, repository, payload)),
        add(`pull, ${target.name}`, (payload) => pullBlob(target, repository, payload), stored),
      ] as const;
    })[0] as readonly [Figure, Figure, Figure];
    const put = add("one put, bare Worker", (payload) => putBare(url, payload));
    const parts = add("parts of 5 MiB, bare object", (payload) => putBareParts(url, payload));
    const get = add("get, bare Worker", (payload) => getBare(url, payload), stored);

    for (const target of targets) await pushWhole(target, repository, stored);
    await putBare(url, stored);
    for (const { transfer, pulls } of ways) await transfer(pulls ?? newPayload(warmUpMebibytes));
    await inTurns(ways, repetitions, async ({ figure, transfer, pulls }, repetition) => {
      const payload = pulls ?? newPayload(mebibytes);
      const seconds = await secondsOf(() => transfer(payload));
      figure.samples.push(seconds);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
    });
    const against = (name: string, figure: Figure, floor: Figure, limit: number): Comparison => {
      return { name, value: ratio(figure, floor), unit: "times", limit };
    };
    return {
      figures: ways.map(({ figure }) => figure),
      comparisons: [
        against("push streamed / one put", pushed, put, mostTimesTheFloor),
        against("push streamed / parts", pushed, parts, mostTimesTheObject),
        against("push whole / one put", whole, put, mostTimesTheFloor),
        against("pull / get", pulled, get, mostTimesTheFloor),
      ],
    };
  },
};
