/** `npm run bench`: measures the registry on this machine, beside what the machine can do at best. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { describeComparison, describeFigure, type Outcome } from "./measure.ts";
import type { Workload } from "./workload.ts";
import { latencyUnderPush } from "./workloads/latency-under-push.ts";
import { pushMemory } from "./workloads/push-memory.ts";
import { streamedPush } from "./workloads/streamed-push.ts";

const workloads: Workload[] = [streamedPush, latencyUnderPush, pushMemory];

const help = `Measures the registry on this machine.

npm run bench -- [flags]

--only NAME        one workload: ${workloads.map(({ name }) => name).join(", ")}; may be repeated
--repetitions N    how often a time is measured (5)
--json FILE        writes all samples to a file
--help             shows this
`;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function refuse(text: string): never {
  process.stderr.write(`bench: ${text}\n`);
  process.exit(1);
}

function machine(): string {
  const { model = "unknown processor" } = cpus()[0] ?? {};
  const gigabytes = Math.round(totalmem() / 1e9);
  return `${cpus().length} × ${model}, ${gigabytes} GB, ${process.platform} ${process.arch}, Node ${process.version}`;
}

function readFlags(args: string[]): { chosen: Workload[]; repetitions: number; json: string | undefined } {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true },
      repetitions: { type: "string", default: "5" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    process.exit(0);
  }
  const unknown = values.only?.find((name) => !workloads.some((workload) => workload.name === name));
  if (unknown !== undefined) refuse(`there is no workload ${unknown}; --help lists them`);
  const repetitions = Number(values.repetitions);
  if (!Number.isInteger(repetitions) || repetitions < 1) refuse("--repetitions must be a number from 1");
  const chosen = workloads.filter(({ name }) => values.only?.includes(name) ?? true);
  return { chosen, repetitions, json: values.json };
}

const { chosen, repetitions, json } = readFlags(process.argv.slice(2));
const outcomes: Record<string, Outcome> = {};
say(machine());
for (const { name, shows, run } of chosen) {
  say(`\n${name}: ${shows}`);
  const outcome = await run({ repetitions, progress: (text) => say(`  … ${text}`) });
  outcomes[name] = outcome;
  for (const figure of outcome.figures) say(`  ${describeFigure(figure)}`);
  for (const comparison of outcome.comparisons) say(`  ${describeComparison(comparison)}`);
}
if (json !== undefined) {
  writeFileSync(json, `${JSON.stringify({ machine: machine(), outcomes }, undefined, 2)}\n`);
}
