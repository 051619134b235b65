/** `/policies`: the rules on tags and on names of repositories, and what of them holds for a repository. */
import * as v from "valibot";
import { isTagPattern, maxPatternLength } from "../oci/pattern.ts";
import { maxPatterns, maxRules, sections } from "../policy/document.ts";
import type { Resource } from "./operation.ts";
import { count, digest, must, pattern, repositoryName, tag, time } from "./schemas.ts";

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

const tagRules = must(
  "an object with the lists allow, immutable or both",
  v.strictObject({
    allow: v.exactOptional(described("The tags that may be made; without it, all.", listOf(tagPattern))),
    immutable: v.exactOptional(described("The tags that are made once and then stay.", listOf(tagPattern))),
  }),
);

const nameRules = must(
  "an object with the list allow",
  v.strictObject({
    allow: described("The names that a new repository may have.", listOf(namePattern)),
  }),
);

const ruleSections = {
  tags: v.exactOptional(tagRules),
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

const rules = must(
  `a list of at most ${maxRules} rules`,
  v.pipe(
    v.array(policyRule),
    v.maxLength(maxRules),
    v.description("In order: of each section, the first rule that matches a repository holds for it."),
  ),
);

/** A policy document, as callers write it. */
export const policyDocument = v.strictObject({ rules });

/** The document that holds. */
export const storedPolicies = v.object({
  version: v.pipe(count, v.description("Rises with every change; 0 before the first.")),
  changedAt: v.optional(time),
  changedBy: v.optional(v.string()),
  rules,
});

const fromRule = v.pipe(count, v.description("The rule that it is from, counted from 0."));

/** What holds for a repository. */
export const repositoryPolicy = v.object({
  version: count,
  tags: v.optional(v.object({ ...tagRules.entries, rule: fromRule })),
  names: v.optional(v.object({ ...nameRules.entries, rule: fromRule })),
});

/** An override of one immutable tag. */
export const tagOverride = v.strictObject({
  repository: repositoryName,
  tag,
  digest: v.exactOptional(
    v.pipe(
      digest,
      v.description("The manifest that the tag is to point at; without it, the tag is deleted."),
    ),
  ),
  reason: must(
    "a text of 1 to 500 characters",
    v.pipe(
      v.string(),
      v.minLength(1),
      v.maxLength(500),
      v.description("Why, for the audit log and the history."),
    ),
  ),
});

export const policies = {
  "/repositories/{name}/policy": {
    name: "repository-policy",
    GET: {
      id: "getRepositoryPolicy",
      summary: "Says what the policies say of a repository, and from which rule",
      access: { repository: "pull" },
      answers: { 200: { description: "What holds here", body: repositoryPolicy } },
    },
  },
  "/policies": {
    name: "policies",
    GET: {
      id: "getPolicies",
      summary: "Reads the policies",
      details: "The `ETag` is for `If-Match` when they are put back.",
      access: "administrator",
      answers: { 200: { description: "The document", body: storedPolicies } },
    },
    PUT: {
      id: "putPolicies",
      summary: "Replaces the policies",
      details:
        "They are in force everywhere within a minute. With `If-Match`, they are replaced only if they are still those of that `ETag`.",
      access: "administrator",
      audit: { action: "policies.change", target: "*" },
      body: policyDocument,
      answers: { 200: { description: "The document as it is now", body: storedPolicies } },
      errors: ["POLICIES_CHANGED"],
    },
  },
  "/policies/override": {
    name: "policies-override",
    POST: {
      id: "overrideTag",
      summary: "Moves or deletes one tag that the policies keep as it is",
      details: "The repository has the manifest already: it was pushed by its digest, or under another tag.",
      access: "administrator",
      audit: { action: "tag.override", target: "{repository}:{tag}" },
      body: tagOverride,
      answers: {
        200: {
          description: "What the tag points at now; null if it is deleted",
          body: v.object({ tag: v.string(), digest: v.nullable(v.string()) }),
        },
      },
      errors: ["MANIFEST_UNKNOWN"],
    },
  },
} as const satisfies Resource;
