/**
 * Retention: which tags of a repository stay, and which go. This one decision is made for a run, for a trial of a
 * document, and for an explanation.
 */
import { matchesTagPattern } from "../oci/pattern.ts";
import { type Digest, parseTag, type Tag } from "../oci/reference.ts";
import { parseDuration } from "../units.ts";
import type { KeepLine, Policy } from "./document.ts";
import { compareVersions, parseVersion, type Version } from "../oci/tag-version.ts";

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

/** Why a tag stays. `keep`: the number of the line, from 0. */
export type Reason =
  | { why: "kept"; line: number }
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

/**
 * Decides on all tags of a repository.
 *
 * @param now milliseconds since the epoch
 */
export function decide(tags: readonly TagState[], policy: Policy, now: number): Verdict[] {
  const { remove, keep = [] } = policy;
  if (remove === undefined) return tags.map(({ tag }) => ({ tag, stays: true, why: "not listed" }));
  const lines = keep.map((line) => keptBy(line, tags, now));
  return tags.map((state): Verdict => {
    const { tag } = state;
    if (isClientsOwn(tag) && !matchesAny(remove.tags, tag)) return { tag, stays: true, why: "client's own" };
    if (!matchesAny(remove.tags, tag)) return { tag, stays: true, why: "not listed" };
    if (state.isHeld === true) return { tag, stays: true, why: "held" };
    const ends = lines.map((line) => line.get(tag));
    const line = ends.indexOf("kept");
    if (line >= 0) return { tag, stays: true, why: "kept", line };
    return {
      tag,
      stays: false,
      sinceMs: Math.max(state.pushedAtMs, ...ends.filter((end) => typeof end === "number")),
    };
  });
}

/** What a line says of the tags that it matches: that it keeps them, or since when it does not. */
type Line = Map<string, "kept" | number>;

function keptBy(line: KeepLine, tags: readonly TagState[], now: number): Line {
  const matched = tags.filter(({ tag }) => matchesAny(line.tags, tag));
  if (line.newest !== undefined) return newest(matched, line.newest);
  if (line.newestVersions !== undefined) return newestVersions(matched, line.newestVersions);
  return new Map(
    matched.map((state) => {
      const end = endOf(line, state);
      return [state.tag, end === undefined || end > now ? "kept" : end];
    }),
  );
}

/** When a line by time stops to keep a tag; `undefined` if it keeps it for ever. */
function endOf({ pushedWithin, usedWithin }: KeepLine, state: TagState): number | undefined {
  if (pushedWithin !== undefined) return state.pushedAtMs + millisecondsOf(pushedWithin);
  if (usedWithin === undefined || state.usedAtMs === undefined) return undefined;
  // Nobody can have used it before it was pushed.
  return Math.max(state.usedAtMs, state.pushedAtMs) + millisecondsOf(usedWithin);
}

/** A duration of a document. One that is none, which the contract does not let in, keeps for ever. */
function millisecondsOf(duration: string): number {
  return parseDuration(duration) ?? Number.POSITIVE_INFINITY;
}

/** Of tags that were pushed at the same time, the one that sorts first is taken for the newer one. */
function newest(matched: readonly TagState[], count: number): Line {
  const ordered = matched.toSorted((a, b) => b.pushedAtMs - a.pushedAtMs || (a.tag < b.tag ? -1 : 1));
  return new Map(
    // The push of the one that is `count` places before it was one too many.
    ordered.map(({ tag }, place) => [
      tag,
      place < count ? "kept" : (ordered[place - count]?.pushedAtMs ?? 0),
    ]),
  );
}

type Versioned = { state: TagState; version: Version };

function newestVersions(matched: readonly TagState[], count: number): Line {
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
  for (const family of families.values()) addNewest(line, family, count);
  const kept = new Set(matched.filter(({ tag }) => line.get(tag) === "kept").map(({ digest }) => digest));
  for (const { tag, digest } of aliases) if (kept.has(digest)) line.set(tag, "kept");
  return line;
}

/** Adds the tags of a family. Tags of one version, such as `1.2.3` and `v1.2.3`, have one place. */
function addNewest(line: Line, family: Versioned[], count: number): void {
  family.sort((a, b) => compareVersions(b.version, a.version));
  /** When each newer version was pushed first: the earliest `count` of them, in order. */
  const pushes: number[] = [];
  for (let start = 0; start < family.length; ) {
    const first = family[start];
    if (first === undefined) break;
    let end = start + 1;
    while (compareVersions(family[end]?.version ?? first.version, first.version) === 0 && end < family.length)
      end++;
    const equal = family.slice(start, end);
    const verdict = pushes.length < count ? "kept" : (pushes.at(-1) ?? 0);
    for (const { state } of equal) line.set(state.tag, verdict);
    insert(pushes, Math.min(...equal.map(({ state }) => state.pushedAtMs)), count);
    start = end;
  }
}

function insert(sorted: number[], value: number, most: number): void {
  const at = sorted.findIndex((each) => each > value);
  sorted.splice(at < 0 ? sorted.length : at, 0, value);
  if (sorted.length > most) sorted.pop();
}
