/** `npm run bench`: measures the registry on this machine, beside what the machine can do at best. */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { readFlags } from "./flags.ts";
import type { Outcome } from "./measure.ts";
import { startPeer } from "./peers.ts";
import { barsOf, curvesOf } from "./plot.ts";
import { tableOf } from "./table.ts";
import type { Workload } from "./workload.ts";
import { caching } from "./workloads/caching.ts";
import { dockerPush } from "./workloads/docker-push.ts";
import { fsyncs } from "./workloads/fsyncs.ts";
import { guessing } from "./workloads/guessing.ts";
import { images } from "./workloads/images.ts";
import { interfaceCost } from "./workloads/interface.ts";
import { latencyUnderPush } from "./workloads/latency-under-push.ts";
import { guessedNames } from "./workloads/names.ts";
import { proxy } from "./workloads/proxy.ts";
import { pushMemory } from "./workloads/push-memory.ts";
import { reads } from "./workloads/reads.ts";
import { requests } from "./workloads/requests.ts";
import { scale } from "./workloads/scale.ts";
import { search } from "./workloads/search.ts";
import { startUp } from "./workloads/start.ts";
import { transfers } from "./workloads/transfers.ts";
import { webhooks } from "./workloads/webhooks.ts";
import { writes } from "./workloads/writes.ts";

const known: Workload[] = [
  requests,
  reads,
  transfers,
  writes,
  caching,
  images,
  dockerPush,
  latencyUnderPush,
  guessing,
  guessedNames,
  pushMemory,
  proxy,
  startUp,
  webhooks,
  fsyncs,
  scale,
  interfaceCost,
  search,
];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function machine(): string {
  const { model = "unknown processor" } = cpus()[0] ?? {};
  const gigabytes = Math.round(totalmem() / 1e9);
  return `${cpus().length} × ${model}, ${gigabytes} GB, ${process.platform} ${process.arch}, Node ${process.version}`;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  say(`written: ${file}`);
}

/** What was measured, as the tables and pictures that docs/performance.md shows: what has curves has its own. */
function publish(outcomes: Record<string, Outcome>): void {
  const folder = join(import.meta.dirname, "..", "docs", "bench");
  const show = (name: string, shown: Record<string, Outcome>, picture: string) => {
    write(join(folder, `${name}.svg`), picture);
    write(join(folder, `${name}.txt`), `${machine()}\n\n${tableOf(shown)}\n`);
  };
  const flat = Object.fromEntries(Object.entries(outcomes).filter(([, { curves }]) => curves === undefined));
  if (Object.keys(flat).length > 0) show("figures", flat, barsOf(flat));
  for (const [name, outcome] of Object.entries(outcomes)) {
    if (outcome.curves !== undefined) show(name, { [name]: outcome }, curvesOf(outcome.curves));
  }
}

const flags = readFlags(process.argv.slice(2), known);
if ("text" in flags) {
  (flags.isError ? process.stderr : process.stdout).write(flags.text);
  process.exit(flags.isError ? 1 : 0);
}
const { workloads, repetitions, isQuick, startedPeers } = flags;
const peers = [...flags.peers];
await using running = new AsyncDisposableStack();
for (const name of startedPeers) {
  const peer = await startPeer(name);
  if (peer === undefined) say(`${name} is not installed: no such peer`);
  else peers.push(running.use(peer));
}
const outcomes: Record<string, Outcome> = {};
say(machine());
for (const { name, shows, run } of workloads) {
  say(`\n${name}: ${shows}`);
  outcomes[name] = await run({ repetitions, isQuick, peers, progress: (text) => say(`  … ${text}`) });
}
say(`\n${tableOf(outcomes)}\n`);
const json = `${JSON.stringify({ machine: machine(), date: new Date().toISOString(), outcomes }, undefined, 2)}\n`;
write(flags.json ?? join(import.meta.dirname, "results", "latest.json"), json);
if (flags.isPublished) publish(outcomes);
