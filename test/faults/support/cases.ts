/** Programs that are written down, not random: what random ones have found, and what is to be shown in particular. */
import assert from "node:assert/strict";
import type { Harness } from "./harness.ts";
import type { DelayedCall, Fault, FaultEffect, ManifestPlan, Program, Step } from "./program.ts";

/** Two images, of a blob each. */
const images: ManifestPlan[] = [
  { kind: "image", references: [0], subject: null },
  { kind: "image", references: [1], subject: null },
];

/** Kept in isolates' memory, and in one part. */
export const smallBlob = 0;
/** Of two parts, and not kept in memory. */
export const largeBlob = 1;

/** Client 0 writes, and only it looks; client 1 is elsewhere. */
export const writer = { repository: 0, at: 0, watched: false } as const;
export const reader = { repository: 0, at: 1 } as const;

export const pushBlob = (blob: number, repository = 0): Step => ({
  do: "push blob",
  ...writer,
  repository,
  blob,
  way: "post",
  pauseSeconds: 0,
});

/** Pushes an image, and its blob first, under a tag. */
export const pushImage = (manifest: number, repository = 0, tag = 0): Step => ({
  do: "push image",
  ...writer,
  repository,
  manifest,
  tag,
  way: "post",
});

export const advance = (seconds: number): Step => ({ do: "advance", seconds });
export const runAlarms: Step = { do: "run alarms", of: "all", how: "due" };
export const fault = (target: Fault["target"], effect: FaultEffect, times = 1, skip = 0): Step => ({
  do: "fault",
  fault: { target, effect, skip, times },
});
export const letGo = (of: DelayedCall | "all"): Step => ({ do: "let go", of });

/** Runs a program in which no promise may be broken; returns what happened. */
export async function runCase(
  harness: Harness,
  steps: Step[],
  settings: Partial<Program["settings"]> = {},
  manifests = images,
): Promise<string[]> {
  const { violation, trace } = await harness.run({
    settings: {
      graceSeconds: 300,
      deleteDelaySeconds: 0,
      scrubsItself: false,
      ledgersBehindSeconds: 0,
      isOneMachine: false,
      ...settings,
    },
    manifests,
    steps,
  });
  assert.equal(violation, undefined, `${violation}\n${trace.join("\n")}`);
  return trace;
}
