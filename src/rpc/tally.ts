/** Counts and logs deletions by collection. Every deletion has a log line with its reason. */
import { log } from "../log.ts";
import { meter } from "../metrics/meter.ts";
import type { Freed } from "./upkeep.ts";

/** Nothing deleted yet. */
export function nothingFreed(): Freed {
  return { manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
}

/** Adds up the deletions of several objects. */
export function addFreed(...reports: Freed[]): Freed {
  const sum = nothingFreed();
  for (const report of reports) {
    for (const name of Object.keys(sum) as (keyof Freed)[]) sum[name] += report[name];
  }
  return sum;
}

/** Counts what one object has deleted since it was constructed. */
export class Tally {
  #sum = nothingFreed();

  /** Counts deletions. */
  add(freed: Partial<Freed>): void {
    this.#sum = addFreed(this.#sum, { ...nothingFreed(), ...freed });
  }

  /** Runs work; resolves with what was deleted while it ran. */
  async during(work: () => Promise<unknown>): Promise<Freed> {
    const before = this.#sum;
    await work();
    const freed = { ...this.#sum };
    for (const name of Object.keys(freed) as (keyof Freed)[]) freed[name] -= before[name];
    return freed;
  }
}

/**
 * The log entry of a deletion. `what` and `reason` come from a fixed set of words, as they are also labels of metrics.
 */
export type Deletion = {
  what: string;
  reason: string;
  repository?: string;
  sizeBytes?: number;
  [detail: string]: unknown;
};

/** Logs a deletion, and counts it. */
export function logDeletion(deletion: Deletion): void {
  const { what, reason, sizeBytes } = deletion;
  meter.add("stowage_deletions_total", [what, reason]);
  if (sizeBytes !== undefined) meter.add("stowage_freed_bytes_total", [reason], sizeBytes);
  log("info", "deleted", deletion);
}
