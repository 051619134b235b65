/**
 * Policies: which tags may be pushed and moved, which are removed and when, and how repositories and tags are named.
 * They are one document, a list of rules, and hold section by section: for each section of a rule, the first rule that
 * matches a repository and has that section holds for it.
 */
import { matchesPattern } from "../oci/pattern.ts";

/** How many rules a document has, and how many patterns a list in it has, at most. */
export const maxRules = 200;
export const maxPatterns = 50;
/** How many lines `keep` has at most. */
export const maxKeepLines = 50;

/** Tags that may be pushed at all, and tags that are pushed once and never moved. Patterns of tags. */
export interface TagRules {
  allow?: readonly string[];
  immutable?: readonly string[];
}

/**
 * A line of `keep`: the tags that it keeps, among all those that its patterns match. Without a number or a time it keeps
 * all of them.
 */
export interface KeepLine {
  tags: readonly string[];
  /** That many of the newest versions of each family, and that many of the newest pre-releases. */
  newestVersions?: number;
  /** That many of those that were pushed last. */
  newest?: number;
  /** Those that were pushed within so many milliseconds. */
  pushedWithinMs?: number;
  /** Those that were used within so many milliseconds. */
  usedWithinMs?: number;
}

/** What is removed unless a line of `keep` keeps it. */
export interface Removal {
  /** Patterns of tags. */
  tags: readonly string[];
  /** How long a manifest is kept that no tag reaches; `undefined`: as the setting UNTAGGED_TTL says. */
  untaggedAfterMs?: number;
}

/** Patterns of names of repositories, one of which a new repository's name has to match. */
export interface NameRules {
  allow: readonly string[];
}

/** A rule, for the repositories that one of its patterns matches. */
export interface Rule {
  repositories: readonly string[];
  tags?: TagRules;
  keep?: readonly KeepLine[];
  remove?: Removal;
  names?: NameRules;
}

/** A policy document: its rules in order. */
export type Rules = readonly Rule[];

/** The sections of a rule. */
export const sections = ["tags", "keep", "remove", "names"] as const;

/** One of {@link sections}. */
export type Section = (typeof sections)[number];

/** What holds for a repository, by section, and `from`: the number of the rule, from 0, that each section is from. */
export type Policy = Pick<Rule, Section> & { readonly from: { readonly [S in Section]?: number } };

/** The policy of a repository for which no rule says anything. */
export const noPolicy: Policy = { from: {} };

/** What holds for a repository. */
export function policyFor(rules: Rules, repository: string): Policy {
  const policy: { -readonly [Key in keyof Policy]: Policy[Key] } = { from: {} };
  const from: { [S in Section]?: number } = {};
  for (const [index, rule] of rules.entries()) {
    if (!rule.repositories.some((pattern) => matchesPattern(pattern, repository))) continue;
    for (const section of sections) {
      if (from[section] !== undefined || rule[section] === undefined) continue;
      from[section] = index;
      Object.assign(policy, { [section]: rule[section] });
    }
  }
  return { ...policy, from };
}
