/** The policy document as callers write it. docs/policies.md explains it. */
import * as v from "valibot";
import { isTagPattern, maxPatternLength } from "../oci/pattern.ts";
import { maxKeepLines, maxPatterns, maxRules, sections } from "../policy/document.ts";
import { day, parseDuration } from "../units.ts";
import { must, pattern } from "./schemas.ts";

const namePattern = must("a pattern of names, such as team/**", pattern);

const tagPattern = must(
  "a pattern of tags, such as v[0-9]*",
  v.pipe(
    v.string(),
    v.maxLength(maxPatternLength),
    v.check(isTagPattern),
    v.description(
      "A pattern of tags: `*` stands for any text, `?` for one character, `[0-9]` for one of these.",
    ),
    v.examples(["v[0-9]*"]),
  ),
);

const listOf = <S extends v.GenericSchema>(one: S) =>
  must(
    `a list of 1 to ${maxPatterns} patterns`,
    v.pipe(v.array(one), v.minLength(1), v.maxLength(maxPatterns)),
  );

const described = <S extends v.GenericSchema>(description: string, schema: S) =>
  v.pipe(schema, v.description(description));

/** A section of a rule. */
export const tagRules = must(
  "an object with the lists allow, immutable or both",
  v.strictObject({
    allow: v.exactOptional(described("The tags that may be made; without it, all.", listOf(tagPattern))),
    immutable: v.exactOptional(described("The tags that are made once and then stay.", listOf(tagPattern))),
  }),
);

/** A section of a rule. */
export const nameRules = must(
  "an object with the list allow",
  v.strictObject({
    allow: described("The names that a new repository may have.", listOf(namePattern)),
  }),
);

const tagList = described("The tags that it is about.", listOf(tagPattern));

const howMany = (description: string) =>
  v.exactOptional(
    must(
      "a whole number from 1 to 100000",
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000), v.description(description)),
    ),
  );

const maxDurationMs = 3650 * day;

const howLong = (description: string) =>
  v.exactOptional(
    must(
      "a duration such as 90s, 12h or 30d, of at most 3650d",
      v.pipe(
        v.string(),
        v.maxLength(20),
        v.check((given) => (parseDuration(given) ?? maxDurationMs + 1) <= maxDurationMs),
        v.description(description),
        v.examples(["30d"]),
      ),
    ),
  );

const limits = {
  newestVersions: howMany("So many of the newest versions of each family, and of the newest pre-releases."),
  newest: howMany("So many of those that were pushed last."),
  pushedWithin: howLong("Those that were pushed within that time."),
  usedWithin: howLong("Those that were used within that time."),
};

const keepLine = must(
  `an object with tags and at most one of ${Object.keys(limits).join(", ")}`,
  v.pipe(
    v.strictObject({ tags: tagList, ...limits }),
    v.check((line) => Object.keys(limits).filter((limit) => limit in line).length <= 1),
  ),
);

/** A section of a rule. */
export const keep = must(
  `a list of at most ${maxKeepLines} lines`,
  v.pipe(
    v.array(keepLine),
    v.maxLength(maxKeepLines),
    v.description("What is kept, of all tags that a line is about; without a number or a time, all of them."),
  ),
);

/** A section of a rule. */
export const removal = must(
  "an object with the list tags, and untaggedAfter if wanted",
  v.strictObject({
    tags: described("The tags that are removed unless a line of keep keeps them.", listOf(tagPattern)),
    untaggedAfter: howLong("How long a manifest is kept that no tag reaches; without it, for UNTAGGED_TTL."),
  }),
);

const ruleSections = {
  tags: v.exactOptional(tagRules),
  keep: v.exactOptional(keep),
  remove: v.exactOptional(removal),
  names: v.exactOptional(nameRules),
};

/** A rule. */
export const policyRule = must(
  `an object with repositories and at least one of ${Object.keys(ruleSections).join(", ")}`,
  v.pipe(
    v.strictObject({
      repositories: described("The repositories that it is for.", listOf(namePattern)),
      ...ruleSections,
    }),
    v.check((rule) => sections.some((section) => section in rule)),
  ),
);

/** The rules of a document. */
export const rules = must(
  `a list of at most ${maxRules} rules`,
  v.pipe(
    v.array(policyRule),
    v.maxLength(maxRules),
    v.description("In order: of each section, the first rule that matches a repository holds for it."),
  ),
);

/** A policy document, as callers write it. */
export const policyDocument = v.strictObject({ rules });

/** A document before it is checked. */
export type SentDocument = v.InferInput<typeof policyDocument>;
