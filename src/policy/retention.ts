/**
 * Retention: which tags of a repository stay, and which go. This one decision is made for a run, for a trial of a
 * document, and for an explanation.
 */
import { matchesTagPattern } from "../oci/pattern.ts";
import { type Digest, parseTag, type Tag } from "../oci/reference.ts";
import { compareVersions, parseVersion, type Version } from "../oci/tag-version.ts";
import { parseDuration } from "../units.ts";
import type { KeepLine, Policy } from "./document.ts";

/** A tag, as far as retention has to know it. Times are milliseconds since the epoch. */
export interface TagState {
  tag: string;
  digest: string;
  /** When it was pushed or restored last. */
  pushedAtMs: number;
  /** When it was used last, at the earliest; `undefined` if that is unknown, and it counts as used now. */
  usedAtMs?: number | undefined;
  /** Whether somebody holds it, whatever the rules say. */
  isHeld?: boolean;
}

/** Why a tag stays. `line`: the number of the line of `keep`, from 0. `untilMs`: until when any keeps it, if that is known. */
export type Reason =
  | { why: "kept"; line: number; untilMs?: number }
  | { why: "not listed" }
  | { why: "held" }
  | { why: "client's own" };

/** The verdict on one tag. */
export type Verdict =
  | ({ tag: string; stays: true } & Reason)
  /** `sinceMs`: since when no line has kept it; its push, if none ever did. */
  | { tag: string; stays: false; sinceMs: number };

/**
 * Tags that clients made for something else: of signatures, attestations and referrers. They live and go with it.
 *
 * Source: distribution-spec, "Referrers Tag Schema"; cosign, "Signature Specification".
 */
const clientsOwn = /^sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?$/;

/** The tags that clients may have made for a manifest. */
export function clientsOwnTags(digest: Digest): Tag[] {
  const name = digest.replace(":", "-");
  return ["", ".sig", ".att", ".sbom"]
    .map((suffix) => parseTag(name + suffix))
    .filter((tag) => tag !== undefined);
}

/** Whether a client made a tag for another manifest, and no pattern with this name is needed for it. */
export function isClientsOwn(tag: string): boolean {
  return clientsOwn.test(tag);
}

/** Whether one of the patterns matches a tag. A tag of a client's own has to be named, as `sha256-*` does. */
export function matchesAny(patterns: readonly string[], tag: string): boolean {
  return patterns.some(
    (pattern) => matchesTagPattern(pattern, tag) && (pattern.startsWith("sha256-") || !isClientsOwn(tag)),
  );
}

const never = Number.POSITIVE_INFINITY;

/** When is decided, in milliseconds since the epoch, and how long a line by number keeps what has lost its place. */
export type Moment = { nowMs: number; noticeMs: number };

/**
 * Decides on all tags of a repository.
 *
 * A line by number keeps a tag for a while after the push that took its place, so that its end can be told before it
 * comes, as that of a line by time.
 */
export function decide(tags: readonly TagState[], policy: Policy, moment: Moment): Verdict[] {
  const { remove, keep = [] } = policy;
  const lines = keep.map((line) => keptBy(line, tags, moment));
  return tags.map((state): Verdict => {
    const { tag } = state;
    if (state.isHeld === true) return { tag, stays: true, why: "held" };
    if (remove === undefined) return { tag, stays: true, why: "not listed" };
    if (!matchesAny(remove.tags, tag))
      return { tag, stays: true, why: isClientsOwn(tag) ? "client's own" : "not listed" };
    const ends = lines.map((line) => line.get(tag));
    const last = Math.max(state.pushedAtMs, ...ends.filter((end) => end !== undefined));
    const line = ends.findIndex((end) => end !== undefined && end > moment.nowMs);
    if (line < 0) return { tag, stays: false, sinceMs: last };
    return { tag, stays: true, why: "kept", line, ...(last === never ? {} : { untilMs: last }) };
  });
}

/** When a line stops, or has stopped, to keep each of the tags that it matches; {@link never} where that is not known. */
type Line = Map<string, number>;

function keptBy(line: KeepLine, tags: readonly TagState[], { noticeMs }: Moment): Line {
  const matched = tags.filter(({ tag }) => matchesAny(line.tags, tag));
  if (line.newest !== undefined) return newest(matched, line.newest, noticeMs);
  if (line.newestVersions !== undefined) return newestVersions(matched, line.newestVersions, noticeMs);
  const endOf = endsOf(line);
  return new Map(matched.map((state) => [state.tag, endOf(state)]));
}

/** When a line by time, or by nothing but tags, stops to keep each tag. */
function endsOf({ pushedWithin, usedWithin }: KeepLine): (state: TagState) => number {
  if (pushedWithin !== undefined) {
    const withinMs = millisecondsOf(pushedWithin);
    return ({ pushedAtMs }) => pushedAtMs + withinMs;
  }
  if (usedWithin === undefined) return () => never;
  const withinMs = millisecondsOf(usedWithin);
  // Nobody can have used it before it was pushed.
  return ({ usedAtMs, pushedAtMs }) =>
    usedAtMs === undefined ? never : Math.max(usedAtMs, pushedAtMs) + withinMs;
}

/** A duration of a document. One that is none, which the contract does not let in, keeps for ever. */
function millisecondsOf(duration: string): number {
  return parseDuration(duration) ?? never;
}

/** Of tags that were pushed at the same time, the one that sorts first is taken for the newer one. */
function newest(matched: readonly TagState[], count: number, noticeMs: number): Line {
  const ordered = matched.toSorted((a, b) => b.pushedAtMs - a.pushedAtMs || (a.tag < b.tag ? -1 : 1));
  return new Map(
    // The push of the one that is `count` places before it was one too many.
    ordered.map(({ tag }, place) => [tag, (ordered[place - count]?.pushedAtMs ?? never) + noticeMs]),
  );
}

type Versioned = { state: TagState; version: Version };

function newestVersions(matched: readonly TagState[], count: number, noticeMs: number): Line {
  const families = new Map<string, Versioned[]>();
  const aliases: TagState[] = [];
  for (const state of matched) {
    const version = parseVersion(state.tag);
    if (version?.isAlias) aliases.push(state);
    if (version === undefined || version.isAlias) continue;
    // Pre-releases take no place of a release.
    const family = `${version.preRelease.length > 0} ${version.family}`;
    const others = families.get(family);
    if (others === undefined) families.set(family, [{ state, version }]);
    else others.push({ state, version });
  }
  const line: Line = new Map();
  for (const family of families.values()) addNewest(line, family, count, noticeMs);
  const ends = new Map<string, number>();
  for (const { tag, digest } of matched) {
    const end = line.get(tag);
    if (end !== undefined) ends.set(digest, Math.max(end, ends.get(digest) ?? end));
  }
  for (const { tag, digest } of aliases) {
    const end = ends.get(digest);
    if (end !== undefined) line.set(tag, end);
  }
  return line;
}

/** Adds the tags of a family. Tags of one version, such as `1.2.3` and `v1.2.3`, have one place. */
function addNewest(line: Line, family: Versioned[], count: number, noticeMs: number): void {
  family.sort((a, b) => compareVersions(b.version, a.version));
  /** When each newer version was pushed first: the earliest `count` of them, in order. */
  const pushes: number[] = [];
  for (let start = 0; start < family.length; ) {
    const first = family[start];
    if (first === undefined) break;
    let next = start + 1;
    while (
      compareVersions(family[next]?.version ?? first.version, first.version) === 0 &&
      next < family.length
    )
      next++;
    const equal = family.slice(start, next);
    const end = (pushes.length < count ? never : (pushes.at(-1) ?? never)) + noticeMs;
    for (const { state } of equal) line.set(state.tag, end);
    insert(pushes, Math.min(...equal.map(({ state }) => state.pushedAtMs)), count);
    start = next;
  }
}

function insert(sorted: number[], value: number, most: number): void {
  const at = sorted.findIndex((each) => each > value);
  sorted.splice(at < 0 ? sorted.length : at, 0, value);
  if (sorted.length > most) sorted.pop();
}
