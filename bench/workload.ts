/** What the benchmark program asks of a workload. */
import type { Outcome } from "./measure.ts";
import type { Target } from "./target.ts";

/** How a workload is run. */
export interface RunContext {
  /** How often each thing is measured, where one time does not tell. */
  repetitions: number;
  /** Whether it only has to be shown that it runs: smaller, shorter. */
  isQuick: boolean;
  /** Other registries, which are measured in the same way. */
  peers: readonly Target[];
  /** Says what has just been measured. */
  progress(text: string): void;
}

/** Something that is measured by itself, on registries of its own. */
export interface Workload {
  /** For `--only`. */
  name: string;
  /** What it shows, in a sentence. */
  shows: string;
  /** Takes so long that it runs only where it is named. */
  isLong?: boolean;
  run(context: RunContext): Promise<Outcome>;
}
