/**
 * What collection took away, counted and logged: nothing is deleted without a line that says why.
 */

import { log } from "../log.ts";
import { meter } from "../metrics/meter.ts";
import type { Freed } from "./upkeep.ts";

/** Nothing taken away yet. */
export function nothingFreed(): Freed {
  return { manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
}

/** Adds up what was taken away in several places. */
export function addFreed(...reports: Freed[]): Freed {
  const sum = nothingFreed();
  for (const report of reports) {
    for (const name of Object.keys(sum) as (keyof Freed)[]) sum[name] += report[name];
  }
  return sum;
}

/** What one object has taken away since its memory began. */
export class Tally {
  #sum = nothingFreed();

  /** Counts what was taken away. */
  add(freed: Partial<Freed>): void {
    this.#sum = addFreed(this.#sum, { ...nothingFreed(), ...freed });
  }

  /** Runs work; resolves with what was taken away from its beginning to its end. */
  async during(work: () => Promise<unknown>): Promise<Freed> {
    const before = this.#sum;
    await work();
    const freed = { ...this.#sum };
    for (const name of Object.keys(freed) as (keyof Freed)[]) freed[name] -= before[name];
    return freed;
  }
}

/**
 * What is logged of a deletion: what it was, whose, and why; `what` and `reason` in words that are always the same, as
 * they are labels of the counts too.
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
