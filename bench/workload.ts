/** What the benchmark program asks of a workload. */
import type { Outcome } from "./measure.ts";

/** How a workload is run. */
export interface RunContext {
  /** How often each thing is measured, where one time does not tell. */
  repetitions: number;
  /** Says what has just been measured. */
  progress(text: string): void;
}

/** Something that is measured by itself, on registries of its own. */
export interface Workload {
  /** For `--only`. */
  name: string;
  /** What it shows, in a sentence. */
  shows: string;
  run(context: RunContext): Promise<Outcome>;
}
