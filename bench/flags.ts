/** The flags of `npm run bench`. */
import { parseArgs } from "node:util";
import { parsePeer, programs } from "./peers.ts";
import type { Target } from "./target.ts";
import type { Workload } from "./workload.ts";

/** What was asked for. */
export interface BenchFlags {
  workloads: Workload[];
  repetitions: number;
  isQuick: boolean;
  peers: Target[];
  /** The names of programs to start as peers. */
  startedPeers: string[];
  json: string | undefined;
  /** Whether the results become those of docs/. */
  isPublished: boolean;
}

function helpOf(workloads: readonly Workload[]): string {
  const names = workloads.map(({ name, isLong }) => (isLong === true ? `${name} (only if named)` : name));
  return `Measures the registry on this machine.

npm run bench -- [flags]

--only NAME            one workload: ${names.join(", ")};
                       may be repeated
--repetitions N        how often each thing is measured (5; 2 with --quick)
--quick                small and short: shows that it runs, and says little
--peer NAME            starts another registry and measures it beside, where it is installed:
                       ${Object.keys(programs).join(", ")}; may be repeated
--peer NAME=URL[,user:password]
                       the same with one that runs already
--json FILE            where all samples are written (bench/results/latest.json)
--publish              writes the plots and tables of docs/bench anew
--help                 shows this
`;
}

const options = {
  only: { type: "string", multiple: true },
  repetitions: { type: "string" },
  quick: { type: "boolean" },
  peer: { type: "string", multiple: true },
  json: { type: "string" },
  publish: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** Reads the flags. A text is what to print instead of running: help, or with `isError` what is wrong. */
export function readFlags(
  args: string[],
  known: readonly Workload[],
): BenchFlags | { text: string; isError: boolean } {
  const { values } = parseArgs({ args, options });
  if (values.help) return { text: helpOf(known), isError: false };
  const refuse = (text: string) => ({ text: `bench: ${text}; --help shows the flags\n`, isError: true });
  const unknown = values.only?.find((name) => !known.some((workload) => workload.name === name));
  if (unknown !== undefined) return refuse(`there is no workload ${unknown}`);
  const isQuick = values.quick === true;
  const repetitions = Number(values.repetitions ?? (isQuick ? 2 : 5));
  if (!Number.isInteger(repetitions) || repetitions < 1)
    return refuse("--repetitions must be a number from 1");
  const peers: Target[] = [];
  const startedPeers: string[] = [];
  for (const text of values.peer ?? []) {
    const peer = parsePeer(text);
    if (peer !== undefined) peers.push(peer);
    else if (Object.hasOwn(programs, text)) startedPeers.push(text);
    else return refuse(`--peer ${text} must be a known name, or NAME=URL[,user:password]`);
  }
  return {
    workloads: known.filter(({ name, isLong }) => values.only?.includes(name) ?? isLong !== true),
    repetitions,
    isQuick,
    peers,
    startedPeers,
    json: values.json,
    isPublished: values.publish === true,
  };
}
