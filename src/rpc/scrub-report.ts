/**
 * What a scrub checked, repaired, and could not repair. Plain data, as it crosses RPC.
 */
import { log } from "../log.ts";

/** Something that is wrong or was repaired. */
export type Finding = {
  what: string;
  repository?: string;
  digest?: string;
  tag?: string;
  key?: string;
  detail?: string;
};

/** How much was checked. */
export type Checked = {
  blobs: number;
  bytes: number;
  links: number;
  manifests: number;
  tags: number;
  keys: number;
};

/**
 * The result of a piece of a scrub. `refused`: manifests that are intact and served, but would be refused if they were
 * pushed today. `unchecked`: what could not be checked, because an object or a store did not answer.
 */
export type ScrubReport = { checked: Checked } & Record<FindingKind, Finding[]>;

const findingKinds = ["repaired", "problems", "refused", "unchecked"] as const;
type FindingKind = (typeof findingKinds)[number];

/** The result of a piece of a scrub, and where the next piece begins; `undefined` after the last. */
export type ScrubStep = { report: ScrubReport; next: string | undefined };

/** The job of an object's own scrub. Its id is where the scrub continues; `""`: at the beginning. */
export const scrubJob = "scrub";

/** The pause between two pieces of an object's own scrub. */
export const scrubPauseMs = 60_000;

/** An empty report. */
export function emptyReport(): ScrubReport {
  return {
    checked: { blobs: 0, bytes: 0, links: 0, manifests: 0, tags: 0, keys: 0 },
    repaired: [],
    problems: [],
    refused: [],
    unchecked: [],
  };
}

/** Adds the report of another piece. */
export function addReport(sum: ScrubReport, piece: ScrubReport): void {
  for (const name of Object.keys(sum.checked) as (keyof Checked)[]) sum.checked[name] += piece.checked[name];
  for (const kind of findingKinds) sum[kind].push(...piece[kind]);
}

/** Logs the findings of a scrub, one line each. */
export function logFindings({ repaired, problems, refused, unchecked }: ScrubReport): void {
  for (const finding of repaired) log("warn", "scrub repaired", finding);
  for (const finding of refused) log("warn", "manifest would be refused", finding);
  for (const finding of unchecked) log("warn", "scrub left out", finding);
  for (const finding of problems) log("error", "scrub found", finding);
}
