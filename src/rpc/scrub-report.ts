/**
 * What a scrub looked at, put right, and could not put right. Plain data, as it crosses RPC.
 */
import { log } from "../log.ts";

/** Something that was not as it should be. */
export type Finding = {
  what: string;
  repository?: string;
  digest?: string;
  tag?: string;
  key?: string;
  detail?: string;
};

/** How much was looked at. */
export type Checked = {
  blobs: number;
  bytes: number;
  links: number;
  manifests: number;
  tags: number;
  keys: number;
};

/**
 * What a piece of a scrub came to. `refused`: what is as it was pushed, and is served, but would be refused if it were
 * pushed today. `unchecked`: what could not be looked at, because an object or a store did not answer.
 */
export type ScrubReport = { checked: Checked } & Record<FindingKind, Finding[]>;

const findingKinds = ["repaired", "problems", "refused", "unchecked"] as const;
type FindingKind = (typeof findingKinds)[number];

/** A piece of a scrub, and where the next one begins; `undefined` after the last. */
export type ScrubStep = { report: ScrubReport; next: string | undefined };

/** The job of `due` tables whose id says where an object's own scrub goes on; `""`: where it begins. */
export const scrubJob = "scrub";

/** How long an object rests between two pieces of its own scrub. */
export const scrubPauseMs = 60_000;

/** A report of nothing. */
export function emptyReport(): ScrubReport {
  return {
    checked: { blobs: 0, bytes: 0, links: 0, manifests: 0, tags: 0, keys: 0 },
    repaired: [],
    problems: [],
    refused: [],
    unchecked: [],
  };
}

/** Adds what another piece came to. */
export function addReport(sum: ScrubReport, piece: ScrubReport): void {
  for (const name of Object.keys(sum.checked) as (keyof Checked)[]) sum.checked[name] += piece.checked[name];
  for (const kind of findingKinds) sum[kind].push(...piece[kind]);
}

/** Logs what a scrub found, a line each. */
export function logFindings({ repaired, problems, refused, unchecked }: ScrubReport): void {
  for (const finding of repaired) log("warn", "scrub repaired", finding);
  for (const finding of refused) log("warn", "manifest would be refused", finding);
  for (const finding of unchecked) log("warn", "scrub left out", finding);
  for (const finding of problems) log("error", "scrub found", finding);
}
