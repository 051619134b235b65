/** Large blobs: what the registry adds to the time that its bucket takes, and what peers take. */
import { getBare, pullBlob, pushStreamed, pushWhole, putBare, putBareParts } from "../client.ts";
import { makeFolder, writeFileDurably } from "../files.ts";
import { startBenchInstance } from "../instance.ts";
import { type Comparison, type Figure, inTurns, ratio, secondsOf } from "../measure.ts";
import { newPayload, type Payload } from "../payload.ts";
import { startServer } from "../program.ts";
import type { Target } from "../target.ts";
import type { Workload } from "../workload.ts";

const repository = "bench/transfers";
const warmUpMebibytes = 16;

/** The most that a time may be of another: the registry on R2 beside R2 alone, and on disk beside docker-registry. */
const most = { r2: 1.1, parts: 1.3, pushBesidePeer: 0.6, pullBesidePeer: 0.7 };

type Transfer = (payload: Payload) => Promise<void>;

/** Something that is timed. `pulls`: what is transferred each time; else a blob that nobody has seen. */
type Way = { figure: Figure; transfer: Transfer; pulls?: Payload };

/** The ways of one registry. */
type Ways = { streamed: Way; whole: Way; pull: Way };

function way(name: string, transfer: Transfer, pulls?: Payload): Way {
  return { figure: { name, unit: "s", samples: [] }, transfer, ...(pulls && { pulls }) };
}

function waysOf(target: Target, stored: Payload): Ways {
  const { name } = target;
  return {
    streamed: way(`push streamed, ${name}`, (payload) => pushStreamed(target, repository, payload)),
    whole: way(`push whole, ${name}`, (payload) => pushWhole(target, repository, payload)),
    pull: way(`pull, ${name}`, (payload) => pullBlob(target, repository, payload), stored),
  };
}

function atMost(limit: number, above: Way, below: Way): Comparison {
  const name = `${above.figure.name} / ${below.figure.name}`;
  return { name, value: ratio(above.figure, below.figure), unit: "times", limit };
}

/** One blob pushed streamed and whole, and pulled; and the same bytes straight to and from bucket and disk. */
export const transfers: Workload = {
  name: "transfers",
  shows: "a blob of 256 MiB pushed streamed (one PATCH of unknown length) and whole (one PUT), and pulled",
  run: async ({ repetitions, isQuick, peers, progress }) => {
    await using onDisk = await startServer();
    await using onR2 = await startBenchInstance({ bucket: "r2" });
    await using folder = await makeFolder();
    const mebibytes = isQuick ? warmUpMebibytes : 256;
    const stored = newPayload(mebibytes);
    const { url } = onR2;
    const disk = waysOf(onDisk.target, stored);
    const r2 = waysOf(onR2.target, stored);
    const others = peers.map((peer) => waysOf(peer, stored));
    const put = way("one put, bare Worker on R2", (payload) => putBare(url, payload));
    const parts = way("parts of 5 MiB, bare object on R2", (payload) => putBareParts(url, payload));
    const get = way("get, bare Worker on R2", (payload) => getBare(url, payload), stored);
    const file = way("a bare file, written and synced", (payload) => writeFileDurably(folder.path, payload));
    const all = [...[disk, r2, ...others].flatMap((ways) => Object.values(ways)), put, parts, get, file];

    for (const target of [onDisk.target, onR2.target, ...peers]) await pushWhole(target, repository, stored);
    await putBare(url, stored);
    for (const { transfer, pulls } of all) await transfer(pulls ?? newPayload(warmUpMebibytes));
    await inTurns(all, repetitions, async ({ figure, transfer, pulls }, repetition) => {
      const payload = pulls ?? newPayload(mebibytes);
      const seconds = await secondsOf(() => transfer(payload));
      figure.samples.push(seconds);
      progress(`${figure.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
    });
    return {
      figures: all.map(({ figure }) => figure),
      comparisons: [
        atMost(most.r2, r2.streamed, put),
        atMost(most.parts, r2.streamed, parts),
        atMost(most.r2, r2.whole, put),
        ...others.flatMap((peer) => [
          atMost(most.pushBesidePeer, disk.streamed, peer.streamed),
          atMost(most.pullBesidePeer, disk.pull, peer.pull),
        ]),
      ],
    };
  },
};
