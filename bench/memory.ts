/** The memory of another process. Linux only. */
import { readdirSync, readFileSync } from "node:fs";

const sampleMs = 20;
/** To add up what processes share takes longer. */
const proportionalSampleMs = 100;

/** Resident memory of a process, in MB (10^6 bytes). */
function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return (kibibytes * 1024) / 1e6;
}

/** How many MB the resident memory of a process grows by, at most, while work is done. */
export async function growthDuring(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = residentMegabytes(pid);
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMegabytes(pid));
  }, sampleMs);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(peak, residentMegabytes(pid)) - before;
}

/** A process and all that it and they have started. */
export function withDescendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(withDescendants)];
}

/** Memory of a process and its descendants, in MB; of what several share, each has its part (PSS). */
export function proportionalMegabytes(pid: number): number {
  const kibibytes = withDescendants(pid).map((each) =>
    Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, "utf8"))?.[1]),
  );
  return (kibibytes.reduce((sum, each) => sum + each, 0) * 1024) / 1e6;
}

/** The most that a process and its descendants have of it while work is done, as {@link proportionalMegabytes} counts. */
export async function peakMegabytes(pid: number, work: () => Promise<unknown>): Promise<number> {
  let peak = proportionalMegabytes(pid);
  const look = () => {
    peak = Math.max(peak, proportionalMegabytes(pid));
  };
  const timer = setInterval(look, proportionalSampleMs);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return peak;
}
