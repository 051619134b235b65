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
  allow?: string[];
  immutable?: string[];
}

/**
 * A line of `keep`: the tags that it keeps, among all those that its patterns match. Without a number or a time it keeps
 * all of them.
 */
export interface KeepLine {
  tags: string[];
  /** That many of the newest versions of each family, and that many of the newest pre-releases. */
  newestVersions?: number;
  /** That many of those that were pushed last. */
  newest?: number;
  /** Those that were pushed within that time, which is a text such as `30d`, as all durations are. */
  pushedWithin?: string;
  /** Those that were used within that time. */
  usedWithin?: string;
}

/** What is removed unless a line of `keep` keeps it. */
export interface Removal {
  /** Patterns of tags. */
  tags: string[];
  /** How long a manifest is kept that no tag reaches; `undefined`: as the setting UNTAGGED_TTL says. */
  untaggedAfter?: string;
}

/** Patterns of names of repositories, one of which a new repository's name has to match. */
export interface NameRules {
  allow: string[];
}

/** A rule, for the repositories that one of its patterns matches. */
export interface Rule {
  repositories: string[];
  tags?: TagRules;
  keep?: KeepLine[];
  remove?: Removal;
  names?: NameRules;
}

/** A policy document: its rules in order. */
export type Rules = Rule[];

/** A document as it is stored. Its version rises with every change; there is no version 0. */
export type StoredPolicies = { version: number; rules: Rules; putAtMs: number; putBy: string };

/** The sections of a rule. */
export const sections = ["tags", "keep", "remove", "names"] as const;

/** One of {@link sections}. */
export type Section = (typeof sections)[number];

/** What holds for a repository, by section, and `from`: the number of the rule, from 0, that each section is from. */
export type Policy = Pick<Rule, Section> & { readonly from: { readonly [S in Section]?: number } };

/** What holds for a repository by the document of this version. */
export type AppliedPolicy = { version: number; policy: Policy };

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
