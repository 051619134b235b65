/**
 * Pulls through a cache of what is not here yet: a large blob by one client, by several at once, by one that joins late
 * and beside a slow one; and whole images, beside distribution's own cache. The upstream is distribution.
 *
 * zot's sync is not among them: it needs a build with extensions.
 */
import { pullManifest, pushWhole } from "../client.ts";
import { type Download, download } from "../download.ts";
import { makeFolder } from "../files.ts";
import { newImage, pullImage, pushImage } from "../image.ts";
import { type Comparison, type Figure, inTurns, median, ratio, secondsOf } from "../measure.ts";
import { peakMegabytes, proportionalMegabytes } from "../memory.ts";
import { mebibyte, newPayload, type Payload } from "../payload.ts";
import { type Peer, startPeer } from "../peers.ts";
import { startProgram, startServer } from "../program.ts";
import type { Target } from "../target.ts";
import type { RunContext, Workload } from "../workload.ts";

const repository = "bench/cold";
const cached = `up/${repository}`;
const clients = 4;
const slowBytesPerSecond = 40e6;

/** The most that a cold pull of four clients may be of what they take straight from the upstream. */
const mostTimes = 1.5;
/** The most that a slow client may cost the others. */
const mostSlowedTimes = 1.2;
/** The most that the first byte may take, in seconds: of clients that begin at once, and of one that joins at half. */
const mostFirstByte = 0.5;
const mostLateFirstByte = 1;

const layers = 5;

async function startUpstream(): Promise<Peer> {
  const upstream = await startPeer("distribution");
  if (upstream === undefined) throw new Error("distribution (`registry` 3) is not installed");
  return upstream;
}

function cacheOf(upstream: Target): Record<string, string> {
  return {
    UPSTREAMS: JSON.stringify([{ id: "up", url: upstream.url, private: true, insecure: true }]),
  };
}

function blobOf(url: string, name: string, { digest }: Payload): URL {
  return new URL(`/v2/${name}/blobs/${digest}`, url);
}

/** Pulls at once by so many clients; returns the latest first byte, in seconds. */
async function pullAtOnce(blob: URL, count: number): Promise<number> {
  const start = performance.now();
  const firsts: number[] = [];
  const pull = () => {
    let isFirst = true;
    const onBytes = () => {
      if (isFirst) firsts.push(performance.now() - start);
      isFirst = false;
    };
    return download(blob, {}, { onBytes });
  };
  await Promise.all(Array.from({ length: count }, pull));
  return Math.max(...firsts) / 1000;
}

/** Pulls by one client, and by another one once half is through; returns the other one's first byte, in seconds. */
async function joinAtHalf(blob: URL, { sizeBytes }: Payload): Promise<number> {
  const late = Promise.withResolvers<number>();
  let hasJoined = false;
  const join = async () => late.resolve(await pullAtOnce(blob, 1));
  const onBytes: Download["onBytes"] = (bytes) => {
    if (hasJoined || bytes < sizeBytes / 2) return;
    hasJoined = true;
    join().catch(late.reject);
  };
  await download(blob, {}, { onBytes });
  return late.promise;
}

/** Pulls by several clients beside a slow one, which is not waited for; returns how long they take, in seconds. */
async function pullBesideSlow(blob: URL): Promise<number> {
  const slow = download(blob, {}, { mostBytesPerSecond: slowBytesPerSecond });
  const seconds = await secondsOf(() => pullAtOnce(blob, clients));
  await slow;
  return seconds;
}

/** One large blob, which the upstream has and the cache has not. */
async function measureBlob({ repetitions, isQuick, progress }: RunContext) {
  await using upstream = await startUpstream();
  await using cache = await startServer(cacheOf(upstream));
  const mebibytes = isQuick ? 32 : 286;
  const figure = (name: string): Figure => ({ name, unit: "s", samples: [] });
  const straight = figure(`${clients} clients straight from the upstream`);
  const one = figure("one client, cold");
  const four = figure(`${clients} clients at once, cold`);
  const first = figure(`${clients} clients at once, cold: the latest first byte`);
  const warm = figure(`${clients} clients at once, of what is here`);
  const late = figure("a client that joins at half: its first byte");
  const beside = figure(`${clients} clients at once, cold, beside one of 40 MB/s`);
  const measured = [straight, one, four, warm, late, beside];
  await inTurns(measured, repetitions, async (each, repetition) => {
    const payload = newPayload(mebibytes);
    await pushWhole(upstream, repository, payload);
    const blob = blobOf(cache.url, cached, payload);
    let seconds = 0;
    if (each === late) seconds = await joinAtHalf(blob, payload);
    else if (each === beside) seconds = await pullBesideSlow(blob);
    else {
      if (each === warm) await pullAtOnce(blob, 1);
      const from = each === straight ? blobOf(upstream.url, repository, payload) : blob;
      let firstByte = 0;
      seconds = await secondsOf(async () => {
        firstByte = await pullAtOnce(from, each === one ? 1 : clients);
      });
      if (each === four) first.samples.push(firstByte);
    }
    each.samples.push(seconds);
    progress(`${each.name} ${repetition + 1}/${repetitions}: ${seconds.toFixed(2)} s`);
  });
  const times = (name: string, value: number, limit: number): Comparison => ({
    name,
    value,
    unit: "times",
    limit,
  });
  const seconds = (of: Figure, limit: number): Comparison => {
    return { name: of.name, value: Math.max(...of.samples), unit: "s", limit };
  };
  return {
    figures: [...measured, first],
    comparisons: [
      times(`${four.name} / ${straight.name}`, ratio(four, straight), mostTimes),
      times(`${beside.name} / without it`, ratio(beside, four), mostSlowedTimes),
      seconds(first, mostFirstByte),
      seconds(late, mostLateFirstByte),
    ],
  };
}

/** A cache to pull images through: where, under which name, and the process to measure. */
type Cache = { target: Target; name: string; pid: number };

/** A whole image, cold: the time to its manifest, to all of it, and the memory that the cache grows by. */
async function measureImage(
  { repetitions, isQuick, progress }: RunContext,
  upstream: Target,
  { target, name, pid }: Cache,
): Promise<Figure[]> {
  const figure = (what: string, unit: Figure["unit"]): Figure => {
    return { name: `image, cold: ${what}, ${target.name}`, unit, samples: [] };
  };
  const manifest = figure("to the manifest", "s");
  const whole = figure("all of it", "s");
  const memory = figure("memory", "MB");
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const image = newImage(layers, (isQuick ? 4 : 40) * mebibyte);
    const tag = `t${repetition}`;
    await pushImage(upstream, repository, tag, image);
    const before = proportionalMegabytes(pid);
    let toManifest = 0;
    let toAll = 0;
    const peak = await peakMegabytes(pid, async () => {
      toManifest = await secondsOf(() => pullManifest(target, name, tag));
      toAll = toManifest + (await secondsOf(() => pullImage(target, name, tag, image)));
    });
    manifest.samples.push(toManifest);
    whole.samples.push(toAll);
    memory.samples.push(peak - before);
    progress(`${whole.name} ${repetition + 1}/${repetitions}: ${toAll.toFixed(2)} s`);
  }
  return [manifest, whole, memory];
}

async function measureImages(context: RunContext) {
  await using upstream = await startUpstream();
  await using data = await makeFolder();
  await using stowage = await startProgram(data.path, [], cacheOf(upstream));
  const proxy = { proxy: { remoteurl: upstream.url } };
  await using distribution = await startPeer("distribution", proxy);
  const ours = { target: stowage, name: cached, pid: stowage.pid };
  const figures = await measureImage(context, upstream, ours);
  if (distribution === undefined) return { figures, comparisons: [] };
  const theirs = {
    target: { ...distribution, name: "distribution's cache" },
    name: repository,
    pid: distribution.pid,
  };
  const others = await measureImage(context, upstream, theirs);
  const comparisons = figures.flatMap((each, index): Comparison[] => {
    const other = others[index];
    if (other === undefined || each.unit !== "s") return [];
    const value = median(each.samples) / median(other.samples);
    return [{ name: `${each.name} / ${theirs.target.name}`, value, unit: "times", limit: 1 }];
  });
  return { figures: [...figures, ...others], comparisons };
}

/** What a cache is for. */
export const caching: Workload = {
  name: "caching",
  shows: `pulls through a cache of what is not here yet: a blob of 300 MB, and images of ${layers} layers of 40 MiB`,
  run: async (context) => {
    const blob = await measureBlob(context);
    const images = await measureImages(context);
    return {
      figures: [...blob.figures, ...images.figures],
      comparisons: [...blob.comparisons, ...images.comparisons],
    };
  },
};
