/** How often a small push waits for the disk, and where. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pushManifest, pushStreamed, pushWhole } from "../client.ts";
import { makeFolder } from "../files.ts";
import { manifestOf } from "../image.ts";
import { type Figure, median, secondsOf } from "../measure.ts";
import { payloadOf } from "../payload.ts";
import { startProgram } from "../program.ts";
import { hasStrace, SyncLog, straceCommand } from "../strace.ts";
import type { Target } from "../target.ts";
import type { RunContext, Workload } from "../workload.ts";

const repository = "bench/fsyncs";
const blobBytes = 10 * 1024;
/** Leases end, alarms run and objects are evicted within this time. */
const quietMs = 75_000;
const slowDiskMs = 5;
/** Between two pushes of a busy time: what comes right after one is not counted for the next. */
const pauseMs = 2_000;
/** So many pushes make what is made once: the repository, the objects that sessions share. */
const firstRounds = 12;

type Timings = { streamed: number; whole: number; manifest: number };

/** Pushes a streamed blob, a monolithic one, and a manifest of both; returns how long each took, in milliseconds. */
async function pushRound(target: Target, tag: string): Promise<Timings> {
  const [streamed, whole] = [payloadOf(blobBytes), payloadOf(blobBytes)];
  const ms = async (work: () => Promise<void>) => 1000 * (await secondsOf(work));
  return {
    streamed: await ms(() => pushStreamed(target, repository, streamed)),
    whole: await ms(() => pushWhole(target, repository, whole)),
    manifest: await ms(() => pushManifest(target, repository, tag, manifestOf(streamed, [whole]))),
  };
}

/** What a synced path is, without the names that differ from one run to the next. */
function kindOf(path: string, data: string): string {
  const place = path.startsWith(`${data}/`) ? path.slice(data.length + 1) : path;
  return place
    .replace(/^v3\//, "")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "…")
    .replaceAll(/\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.?){1,2}/g, "…");
}

async function countSyncs({ repetitions, isQuick, progress }: RunContext): Promise<Figure[]> {
  await using data = await makeFolder();
  await using traces = await makeFolder();
  const file = join(traces.path, "strace");
  await using server = await startProgram(data.path, straceCommand(file));
  const log = new SyncLog(file);
  const figure = (name: string): Figure => ({ name, unit: "", samples: [] });
  const busy = figure("fsyncs before the answers, soon after another push");
  const answered = figure("fsyncs before the answers, after a quiet time");
  const all = figure("fsyncs in all, with those of the quiet time after it");
  const byKind = new Map<string, { before: number; after: number }>();
  const note = (when: "before" | "after", paths: string[]) => {
    for (const path of paths) {
      const kind = kindOf(path, data.path);
      const counts = byKind.get(kind) ?? { before: 0, after: 0 };
      counts[when]++;
      byKind.set(kind, counts);
    }
    return paths.length;
  };
  for (let round = 0; round < firstRounds; round++) await pushRound(server, `first-${round}`);
  for (let round = 0; round < 5; round++) {
    await delay(pauseMs);
    log.take();
    await pushRound(server, `busy-${round}`);
    busy.samples.push(log.take().length);
  }
  await delay(isQuick ? pauseMs : quietMs);
  for (let round = 1; round <= repetitions; round++) {
    log.take();
    await pushRound(server, `quiet-${round}`);
    const before = log.take();
    await delay(isQuick ? pauseMs : quietMs);
    const after = log.take();
    const count = note("before", before);
    answered.samples.push(count);
    all.samples.push(count + note("after", after));
    progress(
      `round ${round}/${repetitions}: ${answered.samples.at(-1)} before, ${all.samples.at(-1)} in all`,
    );
  }
  for (const [kind, { before, after }] of [...byKind].sort()) {
    progress(`${kind}: ${before / repetitions} before, ${after / repetitions} after`);
  }
  return [busy, answered, all];
}

async function timeOnSlowDisk({ isQuick }: RunContext): Promise<Figure[]> {
  await using data = await makeFolder();
  await using traces = await makeFolder();
  const command = straceCommand(join(traces.path, "strace"), slowDiskMs);
  await using server = await startProgram(data.path, command);
  for (let round = 0; round < firstRounds; round++) await pushRound(server, `first-${round}`);
  const timings: Timings[] = [];
  for (let round = 0; round < (isQuick ? 2 : 20); round++) timings.push(await pushRound(server, `t${round}`));
  const figure = (name: string, part: keyof Timings): Figure => ({
    name: `${name}, each fsync ${slowDiskMs} ms slower`,
    unit: "ms",
    samples: timings.map((each) => each[part]),
  });
  return [
    figure("push blob of 10 KB, streamed", "streamed"),
    figure("push blob of 10 KB, monolithic", "whole"),
    figure("PUT manifest", "manifest"),
  ];
}

/** What a small push costs on a disk that is slow to sync: how often it syncs, and how long that takes. */
export const fsyncs: Workload = {
  name: "fsyncs",
  shows:
    "fsyncs of a streamed blob of 10 KB, a monolithic one and a manifest of both, and their time on a slow disk",
  isLong: true,
  run: async (context) => {
    if (!hasStrace()) {
      context.progress("strace is not installed: nothing is measured");
      return { figures: [], comparisons: [] };
    }
    const counts = await countSyncs(context);
    const times = await timeOnSlowDisk(context);
    const [busy, , all] = counts.map(({ samples }) => median(samples));
    const [, whole, manifest] = times.map(({ samples }) => median(samples));
    return {
      figures: [...counts, ...times],
      comparisons: [
        { name: "fsyncs before the answers", value: busy ?? 0, unit: "", limit: 16 },
        { name: "fsyncs in all", value: all ?? 0, unit: "", limit: 24 },
        { name: "push a small blob on the slow disk", value: whole ?? 0, unit: "ms", limit: 30 },
        { name: "PUT manifest on the slow disk", value: manifest ?? 0, unit: "ms", limit: 20 },
      ],
    };
  },
};
