/** What several resources have in common, as schemas. */
import * as v from "valibot";
import type { ErrorName } from "../oci/errors.ts";
import { maxGrants, verbs } from "../oci/grant.ts";
import { isPattern, maxPatternLength } from "../oci/pattern.ts";
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../oci/reference.ts";

/** The errors that say which value is wrong by themselves. */
type RefusedError = Extract<
  ErrorName,
  "NAME_INVALID" | "TAG_INVALID" | "DIGEST_INVALID" | "BLOB_UPLOAD_UNKNOWN"
>;

/**
 * How a wrong value is refused: with what it must be instead, or by an error of its own, whose detail is the value
 * under the name of `member`. `isForTexts`: what is no text is refused as not documented.
 */
export type Refused =
  | { expected: string }
  | { error: RefusedError; member?: string; isForTexts?: true; expected?: string };

/** A value that is refused like this. */
export function refusedAs<S extends v.GenericSchema>(refused: Refused, schema: S) {
  return v.pipe(schema, v.metadata({ refused }));
}

/** A value with what it must be, which follows "must be" in the error of one that is wrong. */
export function must<S extends v.GenericSchema>(expected: string, schema: S) {
  return refusedAs({ expected }, schema);
}

/** A text. */
export const text = must("a text", v.string());

/** Yes or no. */
export const yesOrNo = must("true or false", v.boolean());

/** How many of something. */
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A point in time, as ISO 8601 in UTC. */
export const time = v.pipe(v.string(), v.isoTimestamp());

/** A day in UTC, such as `2026-11-29`. */
export const day = v.pipe(v.string(), v.isoDate());

/** The name of a repository. */
export const repositoryName = refusedAs(
  { error: "NAME_INVALID", member: "name" },
  v.pipe(
    v.string(),
    v.maxLength(255),
    v.guard((name: string): name is RepositoryName => parseRepositoryName(name) !== undefined),
  ),
);

/** A tag. */
export const tag = refusedAs(
  { error: "TAG_INVALID", member: "tag" },
  v.pipe(
    v.string(),
    v.guard((name: string): name is Tag => parseTag(name) !== undefined),
  ),
);

/** A digest of an algorithm that content is addressed by. */
export const digest = refusedAs(
  { error: "DIGEST_INVALID", member: "digest", isForTexts: true, expected: "a text" },
  v.pipe(
    v.string(),
    v.guard((name: string): name is Digest => parseDigest(name) !== undefined),
  ),
);

/** What can be done with a repository. */
export const verb = v.pipe(
  v.picklist(verbs),
  v.description(
    "`pull`, `push`, `delete`, or `admin`: a repository's settings, and its deletion as a whole.",
  ),
  v.metadata({ refused: { expected: `one of ${verbs.join(", ")}` } satisfies Refused }),
);

/** A pattern of repositories' names. */
export const pattern = v.pipe(
  v.string(),
  v.maxLength(maxPatternLength),
  v.check(isPattern),
  v.description(
    "A pattern of names: `*` stands for anything within a segment, `?` for one character, `[a-z]` for one of these, the segment `**` for one segment or more.",
  ),
  v.examples(["team/**"]),
);

/** What may be done with the repositories that a pattern matches. */
export const grant = v.strictObject({ repository: pattern, verbs: v.array(verb) });

/** All the grants of an account or token. */
export const grants = v.pipe(v.array(grant), v.maxLength(maxGrants));

/** Grants as callers write them, who may say a verb twice; `description`: what they are for. */
export const givenGrants = (description: string) =>
  v.pipe(
    grants,
    v.description(description),
    v.metadata({
      refused: {
        expected: 'an array such as [{"repository": "team/**", "verbs": ["pull", "push"]}]',
      } satisfies Refused,
    }),
    v.transform((given) =>
      given.map(({ repository, verbs: said }) => ({ repository, verbs: [...new Set(said)] })),
    ),
  );

/** How an answer says where work goes on that is not through. */
export const nextCursor = v.optional(
  v.pipe(v.string(), v.description("Where to go on from; without it, all is done.")),
);

/** How a request goes on with such work. */
export const givenCursor = v.exactOptional(
  v.pipe(
    text,
    v.description("The cursor that the request before was answered with; left out, the work begins."),
  ),
);

/** So many things, of so many bytes. */
export const amount = v.object({ objects: count, bytes: count });
