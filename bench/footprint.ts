/**
 * `npm run footprint`: what it takes to run a registry, as the table of docs/comparison.md: sizes of what
 * `npm run artefacts -- --image` made, and start and memory of the installed program, in turns with other registries that
 * are installed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { manifest, releaseDirectory, tarball } from "../scripts/release/places.ts";
import { ownArchitecture } from "../scripts/release/tree.ts";
import { version } from "../src/version.ts";
import { diskBytes } from "../test/shipped/support/artefacts.ts";
import { makeFolder } from "./files.ts";
import { inTurns, median } from "./measure.ts";
import { proportionalMegabytes } from "./memory.ts";
import { locate, programs, startPeer } from "./peers.ts";
import { startReady } from "./program.ts";

const settleMs = 5_000;

/** One registry. `start` gives a running one and the seconds from its start to its first answer. */
type Candidate = {
  name: string;
  sizes: { program: string; packed: string; image: string };
  start: () => Promise<{ seconds: number; pid: number } & AsyncDisposable>;
};

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Installs the packed program as its users do, in a folder of its own. */
async function stowage(folder: string): Promise<Candidate> {
  execFileSync("npm", ["install", "--global", "--silent", "--prefix", folder, tarball]);
  const main = join(folder, "lib", "node_modules", manifest.name, "main.js");
  const ofRelease = (name: string) => join(releaseDirectory, name);
  const image = globSync(`*-image-*-${ownArchitecture()}.tar.gz`, { cwd: releaseDirectory })[0];
  return {
    name: `Stowage ${version}`,
    sizes: {
      program: `${megabytes(diskBytes(folder))}, and a Node (${megabytes(statSync(process.execPath).size)})`,
      packed: megabytes(statSync(ofRelease(`${manifest.name}_${version}_${ownArchitecture()}.deb`)).size),
      image: image === undefined ? "·" : sizeOfImage(ofRelease(image)),
    },
    start: async () => {
      const data = await makeFolder();
      const startedAt = performance.now();
      const args = [main, "serve", "--port", "0", "--data", data.path, "--log", "none"];
      const running = await startReady([process.execPath, ...args]);
      await fetch(`${running.url}/v2/`);
      const seconds = (performance.now() - startedAt) / 1000;
      const end = async () => {
        await running[Symbol.asyncDispose]();
        await data[Symbol.asyncDispose]();
      };
      return { seconds, pid: running.pid, [Symbol.asyncDispose]: end };
    },
  };
}

/** As it is downloaded, and unpacked. */
function sizeOfImage(file: string): string {
  const packed = readFileSync(file);
  return `${megabytes(gunzipSync(packed).byteLength)}, packed ${megabytes(packed.byteLength)}`;
}

/** The size of Debian's package of this name, if there is one. */
function sizeOfDebian(name: string): string {
  const { stdout } = spawnSync("apt-cache", ["show", "--no-all-versions", name], { encoding: "utf8" });
  const [, bytes] = /^Size: (\d+)$/m.exec(stdout ?? "") ?? [];
  return bytes === undefined ? "·" : megabytes(Number(bytes));
}

/** Another registry, or `undefined` where it is not installed. */
function peer(name: string): Candidate | undefined {
  const path = locate(programs[name]?.file ?? "");
  if (path === undefined) return undefined;
  return {
    name,
    sizes: { program: megabytes(statSync(path).size), packed: sizeOfDebian(name), image: "·" },
    start: async () => {
      const startedAt = performance.now();
      const running = await startPeer(name);
      if (running === undefined) throw new Error(`${name} does not start`);
      const seconds = (performance.now() - startedAt) / 1000;
      const end = () => running[Symbol.asyncDispose]();
      return { seconds, pid: running.pid, [Symbol.asyncDispose]: end };
    },
  };
}

const range = (samples: number[], digits: number) =>
  `${median(samples).toFixed(digits)} (${Math.min(...samples).toFixed(digits)} to ${Math.max(...samples).toFixed(digits)})`;

const { values } = parseArgs({ options: { repetitions: { type: "string", default: "10" } } });
const repetitions = Number(values.repetitions);
await using folder = await makeFolder();
const others = Object.keys(programs);
const candidates = [await stowage(folder.path), ...others.flatMap((name) => peer(name) ?? [])];
const measured = candidates.map((candidate) => ({
  candidate,
  seconds: [] as number[],
  memory: [] as number[],
}));
const loadBefore = loadavg()[0] ?? 0;
await inTurns(measured, repetitions, async ({ candidate, seconds, memory }) => {
  await using running = await candidate.start();
  seconds.push(running.seconds);
  await delay(settleMs);
  memory.push(proportionalMegabytes(running.pid));
});
const row = (name: string, cell: (of: (typeof measured)[number]) => string) =>
  `| ${[name, ...measured.map(cell)].join(" | ")} |`;
const lines = [
  row("", ({ candidate }) => candidate.name),
  row("---", () => "---"),
  row("program on disk", ({ candidate }) => candidate.sizes.program),
  row("Debian package", ({ candidate }) => candidate.sizes.packed),
  row("image with its base", ({ candidate }) => candidate.sizes.image),
  row("start to first answer, s", ({ seconds }) => range(seconds, 2)),
  row("memory idle, MB", ({ memory }) => range(memory, 0)),
];
console.log(lines.join("\n"));
console.log(`
Median (least to most) of ${repetitions} starts in turns, each with an empty data directory; memory is that of all
processes ${settleMs / 1000} s after the start (PSS). ${cpus().length} × ${cpus()[0]?.model}, ${process.arch}; load ${loadBefore.toFixed(1)} at the beginning, ${loadavg()[0]?.toFixed(1)} at the end.`);
const missing = others.filter((name) => candidates.every((candidate) => candidate.name !== name));
if (missing.length > 0) console.log(`Not measured, as they are not installed: ${missing.join(", ")}.`);
