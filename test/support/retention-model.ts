/** The decision of retention, made otherwise than by the registry: tag by tag, by counting those before it. */
import { matchesTagPattern } from "../../src/oci/pattern.ts";
import { compareVersions, parseVersion } from "../../src/oci/tag-version.ts";
import type { KeepLine } from "../../src/policy/document.ts";
import type { Moment, TagState } from "../../src/policy/retention.ts";
import { parseDuration } from "../../src/units.ts";

const milliseconds = (text: string) => parseDuration(text) ?? Number.NaN;

/** The tags that go at a time, in the order in which they are given. */
export function goesByModel(
  tags: readonly TagState[],
  keep: readonly KeepLine[],
  remove: readonly string[],
  { nowMs: now, noticeMs }: Moment,
): string[] {
  const matches = (patterns: readonly string[], { tag: name }: TagState) =>
    patterns.some((each) => matchesTagPattern(each, name));
  /** Whether what was pushed later, at these times, leaves a place, or took the last one a moment ago. */
  const isAmong = (places: number, later: readonly number[]) => {
    const earlier = later.filter((time) => time + noticeMs <= now);
    return earlier.length < places;
  };
  const isKept = (state: TagState, line: KeepLine): boolean => {
    if (!matches(line.tags, state)) return false;
    const all = tags.filter((each) => matches(line.tags, each));
    if (line.newest !== undefined) {
      const later = all.filter(
        (each) =>
          each.pushedAtMs > state.pushedAtMs ||
          (each.pushedAtMs === state.pushedAtMs && each.tag < state.tag),
      );
      return isAmong(
        line.newest,
        later.map(({ pushedAtMs }) => pushedAtMs),
      );
    }
    if (line.newestVersions !== undefined) {
      const version = parseVersion(state.tag);
      if (version === undefined) return false;
      if (version.isAlias) {
        return all.some(
          (each) =>
            each.digest === state.digest && parseVersion(each.tag)?.isAlias === false && isKept(each, line),
        );
      }
      const newer = all.flatMap(({ tag, pushedAtMs }) => {
        const other = parseVersion(tag);
        if (other === undefined || other.isAlias || other.family !== version.family) return [];
        if (other.preRelease.length > 0 !== version.preRelease.length > 0) return [];
        return compareVersions(other, version) > 0 ? [{ other, pushedAtMs }] : [];
      });
      const firstPushes = newer.flatMap(({ other }, at) => {
        const same = newer.filter((each) => compareVersions(each.other, other) === 0);
        const isFirst = newer.findIndex((each) => compareVersions(each.other, other) === 0) === at;
        return isFirst ? [Math.min(...same.map(({ pushedAtMs }) => pushedAtMs))] : [];
      });
      return isAmong(line.newestVersions, firstPushes);
    }
    if (line.pushedWithin !== undefined) return now - state.pushedAtMs < milliseconds(line.pushedWithin);
    if (line.usedWithin === undefined || state.usedAtMs === undefined) return true;
    return now - Math.max(state.usedAtMs, state.pushedAtMs) < milliseconds(line.usedWithin);
  };
  return tags
    .filter(
      (state) => matches(remove, state) && state.isHeld !== true && !keep.some((line) => isKept(state, line)),
    )
    .map((state) => state.tag);
}
