/**
 * Grants: which verbs are allowed on which repositories. Everything that is not granted is denied.
 */
import { isPattern, matchesPattern } from "./pattern.ts";
import type { RepositoryName } from "./reference.ts";

/** The verbs on a repository. `admin`: changing its settings, and deleting it as a whole. */
export const verbs = ["pull", "push", "delete", "admin"] as const;

/** One of {@link verbs}. */
export type Verb = (typeof verbs)[number];

/** Allows verbs on the repositories that match a pattern (pattern.ts). */
export type Grant = { repository: string; verbs: Verb[] };

/** All verbs on all repositories. */
export const everything: Grant[] = [{ repository: "**", verbs: [...verbs] }];

/** How many grants an account or a token has at most. */
export const maxGrants = 200;

/**
 * Sets of patterns, such as those of an account and of its token. A name has to match a pattern of each set; without
 * sets, no name matches.
 */
export type PatternSets = readonly (readonly string[])[];

/** Whether a name matches a pattern of each set. */
export function matchesPatternSets(sets: PatternSets, name: string): boolean {
  return sets.length > 0 && sets.every((set) => set.some((pattern) => matchesPattern(pattern, name)));
}

/** What every name that matches a pattern begins with; the pattern itself if it matches one name alone. */
export function fixedPrefix(pattern: string): string {
  return pattern.split(/[*?[]/, 1)[0] ?? "";
}

/** The patterns of the repositories on which grants allow a verb. */
export function patternsFor(verb: Verb, grants: readonly Grant[]): string[] {
  return grants.filter((grant) => grant.verbs.includes(verb)).map(({ repository }) => repository);
}

/** The first grant that allows a verb; `undefined` when none does. */
export function findGrant(grants: Grant[], verb: Verb, repository: RepositoryName): Grant | undefined {
  return grants.find((grant) => grant.verbs.includes(verb) && matchesPattern(grant.repository, repository));
}

/** Whether the grants make their holder an administrator: they allow `admin` on every repository. */
export function isAdministrator(grants: Grant[]): boolean {
  return grants.some((grant) => grant.repository === "**" && grant.verbs.includes("admin"));
}

/** Reads grants from JSON; `undefined` if anything in them is invalid. */
export function parseGrants(value: unknown): Grant[] | undefined {
  if (!Array.isArray(value) || value.length > maxGrants) return undefined;
  const grants: Grant[] = [];
  for (const entry of value as unknown[]) {
    if (typeof entry !== "object" || entry === null) return undefined;
    const { repository, verbs: allowed, ...others } = entry as Record<string, unknown>;
    if (Object.keys(others).length > 0) return undefined;
    if (typeof repository !== "string" || !isPattern(repository)) return undefined;
    if (!Array.isArray(allowed) || !allowed.every(isVerb)) return undefined;
    grants.push({ repository, verbs: [...new Set(allowed)] });
  }
  return grants;
}

/** Whether a value is a verb. */
export function isVerb(value: unknown): value is Verb {
  return (verbs as readonly unknown[]).includes(value);
}
