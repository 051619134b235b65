/** The decision of retention, made otherwise than by the registry: tag by tag, by counting those before it. */
import { matchesTagPattern } from "../../src/oci/pattern.ts";
import type { KeepLine } from "../../src/policy/document.ts";
import type { TagState } from "../../src/policy/retention.ts";
import { compareVersions, parseVersion } from "../../src/oci/tag-version.ts";
import { parseDuration } from "../../src/units.ts";

const milliseconds = (text: string) => parseDuration(text) ?? Number.NaN;

/** The tags that go at a time, in the order in which they are given. */
export function goesByModel(
  tags: readonly TagState[],
  keep: readonly KeepLine[],
  remove: readonly string[],
  now: number,
): string[] {
  const matches = (patterns: readonly string[], { tag: name }: TagState) =>
    patterns.some((each) => matchesTagPattern(each, name));
  const isKept = (state: TagState, line: KeepLine): boolean => {
    if (!matches(line.tags, state)) return false;
    const all = tags.filter((each) => matches(line.tags, each));
    if (line.newest !== undefined) {
      const later = all.filter(
        (each) =>
          each.pushedAtMs > state.pushedAtMs ||
          (each.pushedAtMs === state.pushedAtMs && each.tag < state.tag),
      );
      return later.length < line.newest;
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
      const newer = all.flatMap((each) => {
        const other = parseVersion(each.tag);
        if (other === undefined || other.isAlias || other.family !== version.family) return [];
        if (other.preRelease.length > 0 !== version.preRelease.length > 0) return [];
        return compareVersions(other, version) > 0 ? [other] : [];
      });
      const distinct = newer.filter(
        (one, at) => newer.findIndex((each) => compareVersions(each, one) === 0) === at,
      );
      return distinct.length < line.newestVersions;
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
