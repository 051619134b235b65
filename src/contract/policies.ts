/** `/policies`: the rules on tags and on names of repositories, and what of them holds for a repository. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { keep, nameRules, policyDocument, removal, rules, tagRules } from "./policy-document.ts";
import {
  amount,
  count,
  digest,
  givenCursor,
  must,
  nextCursor,
  repositoryName,
  tag,
  time,
} from "./schemas.ts";

/** The document that holds. */
export const storedPolicies = v.object({
  version: v.pipe(count, v.description("Rises with every change; 0 before the first.")),
  changedAt: v.optional(time),
  changedBy: v.optional(v.string()),
  rules,
});

const fromRule = v.pipe(count, v.description("The rule that it is from, counted from 0."));

const waitReason = v.pipe(
  v.picklist(["new rules", "more than usual"]),
  v.description("Why a run has to be confirmed."),
);

/** A run of retention that waits to be confirmed. */
export const waitingRun = v.object({
  since: time,
  removes: v.pipe(count, v.description("How many tags it would remove.")),
  of: v.pipe(count, v.description("Of how many tags.")),
  why: waitReason,
});

/** A tag that retention does not remove, as somebody holds it. */
export const heldTag = v.object({ tag: v.string(), time, actor: v.string(), reason: v.string() });

/** What becomes of a tag. */
export const verdict = v.object({
  tag: v.string(),
  stays: v.boolean(),
  why: v.optional(
    v.pipe(
      v.picklist(["kept", "not listed", "held", "client's own"]),
      v.description(
        "Why it stays: a line keeps it, `remove` does not list it, it is held, or a client made it.",
      ),
    ),
  ),
  line: v.optional(v.pipe(count, v.description("The line of `keep` that keeps it, counted from 0."))),
  until: v.optional(
    v.pipe(
      time,
      v.description("Until when a line keeps it, if nothing changes; missing if that is not known."),
    ),
  ),
  since: v.optional(v.pipe(time, v.description("Since when nothing keeps it."))),
  digest: v.optional(v.string()),
  pushed: v.optional(time),
});

/** One of {@link verdict}. */
export type Verdict = v.InferOutput<typeof verdict>;

/** What holds for a repository. */
export const repositoryPolicy = v.object({
  version: count,
  tags: v.optional(v.object({ ...tagRules.entries, rule: fromRule })),
  keep: v.optional(v.object({ lines: keep, rule: fromRule })),
  remove: v.optional(v.object({ ...removal.entries, rule: fromRule })),
  names: v.optional(v.object({ ...nameRules.entries, rule: fromRule })),
  retention: v.object({
    waiting: v.optional(waitingRun),
    lastRun: v.optional(
      v.object({
        time,
        removed: count,
        endedAt: v.optional(v.pipe(time, v.description("Missing while it is under way."))),
      }),
    ),
    nextRunAt: v.optional(v.pipe(time, v.description("Missing if no rule removes anything here."))),
    held: v.pipe(
      v.array(heldTag),
      v.description(
        "The first 100 of the tags that are held. Who held them and why is empty for those who may pull only because the repository is public.",
      ),
    ),
  }),
  breaks: v.pipe(
    v.object({
      name: v.pipe(v.boolean(), v.description("Whether a new repository could not have this name.")),
      tags: v.pipe(v.array(v.string()), v.description("The first 100 tags whose names are not allowed.")),
    }),
    v.description("What is there, and could not be made today."),
  ),
  tag: v.optional(
    v.pipe(
      v.object({
        ...verdict.entries,
        immutable: v.pipe(v.boolean(), v.description("Whether it is made once, and then stays as it is.")),
      }),
      v.description("What becomes of the tag of the query."),
    ),
  ),
});

/** What becomes of a repository by a document. */
export const triedRepository = v.object({
  name: v.string(),
  stays: v.pipe(count, v.description("How many tags stay.")),
  goes: v.pipe(count, v.description("How many tags the next run would remove.")),
  tags: v.pipe(v.array(verdict), v.description("The first 1,000 tags, those that go first.")),
  freed: v.optional(
    v.pipe(
      v.object({ manifests: amount, blobs: amount }),
      v.description(
        "What only those tags lead to, and is removed after untaggedAfter or UNTAGGED_TTL; missing if neither is set. Other repositories may have the same blobs: only the bytes of the manifests are certainly freed.",
      ),
    ),
  ),
  waits: v.optional(waitReason),
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

/** One of {@link triedRepository}. */
export type TriedRepository = v.InferOutput<typeof triedRepository>;

export const policies = {
  "/repositories/{name}/policy": {
    name: "repository-policy",
    GET: {
      id: "getRepositoryPolicy",
      summary: "Says what the policies say of a repository, and from which rule",
      access: { repository: "pull" },
      query: {
        tag: v.optional(v.pipe(tag, v.description("A tag, to say whether it stays and why."))),
      },
      answers: { 200: { description: "What holds here", body: repositoryPolicy } },
    },
  },
  "/repositories/{name}/policy/confirm": {
    name: "repository-policy-confirm",
    POST: {
      id: "confirmRetention",
      summary: "Starts the run of retention that waits",
      access: { repository: "admin" },
      audit: { action: "retention.confirm", target: "{name}" },
      answers: { 202: { description: "The run that has begun", body: waitingRun } },
      errors: ["RUN_UNKNOWN"],
    },
  },
  "/repositories/{name}/tags/{tag}/hold": {
    name: "tag-hold",
    PUT: {
      id: "holdTag",
      summary: "Holds a tag, so that retention never removes it",
      access: { repository: "push" },
      audit: { action: "tag.keep", target: "{name}:{tag}" },
      body: v.strictObject({
        reason: v.exactOptional(
          must(
            "a text of at most 500 characters",
            v.pipe(v.string(), v.maxLength(500), v.description("Why.")),
          ),
          "",
        ),
      }),
      isBodyOptional: true,
      answers: { 200: { description: "The tag as it is held", body: heldTag } },
      errors: ["MANIFEST_UNKNOWN"],
    },
    DELETE: {
      id: "releaseTag",
      summary: "Lets retention remove a tag again",
      access: { repository: "push" },
      audit: { action: "tag.unkeep", target: "{name}:{tag}" },
      answers: { 204: { description: "It is not held any more" } },
    },
  },
  "/policies/try": {
    name: "policies-try",
    POST: {
      id: "tryPolicies",
      summary: "Says what policies would do now; changes nothing",
      details: "A page has at most 50 repositories.",
      access: "administrator",
      audit: "none",
      body: v.strictObject({
        rules: v.exactOptional(v.pipe(rules, v.description("Left out: those that hold."))),
        repository: v.exactOptional(
          v.pipe(
            repositoryName,
            v.description("Only this one. Left out: all from which a rule removes tags."),
          ),
        ),
        cursor: givenCursor,
      }),
      isBodyOptional: true,
      isRepeatable: true,
      answers: {
        200: {
          description: "What becomes of each repository",
          body: v.object({ repositories: v.array(triedRepository), cursor: nextCursor }),
        },
      },
    },
  },
  "/policies/waiting": {
    name: "policies-waiting",
    GET: {
      id: "listWaitingRuns",
      summary: "Lists the runs of retention that wait to be confirmed",
      access: "administrator",
      page: { most: 1000, last: "text" },
      answers: {
        200: {
          description: "A page of runs",
          body: v.object({ runs: v.array(v.object({ repository: v.string(), ...waitingRun.entries })) }),
        },
      },
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
