/** What a policy says of a push: whether a repository or a tag may have its name, and whether a tag may move. */
import { exampleOf, matchesPattern } from "../oci/pattern.ts";
import { parseRepositoryName, parseTag } from "../oci/reference.ts";
import type { Policy, Section } from "./document.ts";
import { isClientsOwn, matchesAny } from "./retention.ts";

/** Why a name is refused: the rule, some of its patterns, and a name that passes, if there is a simple one. */
export type RefusedName = { rule: string; allowed: string; example?: string };

/** How many patterns a refusal shows. */
const patternsShown = 5;

/** The place of a list in the document, such as `rules[2].tags.immutable`. Rules are counted from 0. */
export function placeOf({ from }: Policy, section: Section, list?: string): string {
  const place = `rules[${from[section]}].${section}`;
  return list === undefined ? place : `${place}.${list}`;
}

/** Whether a new repository may have this name; if not, why. */
export function refusedName(policy: Policy, repository: string): RefusedName | undefined {
  const allow = policy.names?.allow;
  if (allow === undefined || allow.some((pattern) => matchesPattern(pattern, repository))) return undefined;
  return refusalOf(
    placeOf(policy, "names", "allow"),
    allow,
    (name) => parseRepositoryName(name) !== undefined,
  );
}

/** Whether a tag may be made; if not, why. Tags that clients made for other manifests always may. */
export function refusedTag(policy: Policy, tag: string): RefusedName | undefined {
  const allow = policy.tags?.allow;
  if (allow === undefined || isClientsOwn(tag) || matchesAny(allow, tag)) return undefined;
  return refusalOf(placeOf(policy, "tags", "allow"), allow, (name) => parseTag(name) !== undefined);
}

/** Whether a tag is made once, and then stays as it is. */
export function isImmutable(policy: Policy, tag: string): boolean {
  return matchesAny(policy.tags?.immutable ?? [], tag);
}

function refusalOf(rule: string, allow: readonly string[], isValid: (name: string) => boolean): RefusedName {
  const shown = allow.slice(0, patternsShown).join(", ");
  const example = allow.map(exampleOf).find(isValid);
  return {
    rule,
    allowed: allow.length > patternsShown ? `${shown}, …` : shown,
    ...(example === undefined ? {} : { example }),
  };
}
