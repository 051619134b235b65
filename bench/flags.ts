/** The flags of `npm run bench`. */
import { parseArgs } from "node:util";
import { parsePeer } from "./peers.ts";
import type { Target } from "./target.ts";
import type { Workload } from "./workload.ts";

/** What was asked for. */
export interface BenchFlags {
  workloads: Workload[];
  repetitions: number;
  isQuick: boolean;
  peers: Target[];
  /** The port of a docker-registry to start as a peer. */
  dockerRegistryPort: number | undefined;
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
--peer NAME=URL[,user:password]
                       measures another registry beside; may be repeated
--docker-registry PORT starts Debian's docker-registry on a port as a peer, where it is installed
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
  "docker-registry": { type: "string" },
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
  for (const text of values.peer ?? []) {
    const peer = parsePeer(text);
    if (peer === undefined) return refuse(`--peer ${text} must be NAME=URL[,user:password]`);
    peers.push(peer);
  }
  const portText = values["docker-registry"];
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) {
    return refuse("--docker-registry must be a port");
  }
  return {
    workloads: known.filter(({ name, isLong }) => values.only?.includes(name) ?? isLong !== true),
    repetitions,
    isQuick,
    peers,
    dockerRegistryPort: port,
    json: values.json,
    isPublished: values.publish === true,
  };
}
