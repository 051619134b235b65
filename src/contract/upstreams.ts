/** `/upstreams`: registries whose repositories are cached. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, must, repositoryName, time } from "./schemas.ts";

const settings = {
  id: v.string(),
  url: v.string(),
  aliases: v.array(v.string()),
  repositories: v.array(v.string()),
  visibility: v.picklist(["private", "public"]),
  hasCredential: v.pipe(v.boolean(), v.description("Whether it is asked with a username and password.")),
  state: v.pipe(
    v.picklist(["up", "down", "limited", "offline"]),
    v.description(
      "`down`: it failed several times and is left alone for a moment; `limited`: it said that it was asked too often; `offline`: the settings say so. Otherwise `up`, also before it is first asked.",
    ),
  ),
};

/** An upstream in the list. */
export const upstream = v.object(settings);

/** One of {@link upstream}. */
export type UpstreamEntry = v.InferOutput<typeof upstream>;

/** An upstream, with what is known of it and of its caches. */
const upstreamDetails = v.object({
  ...settings,
  fetches: v.pipe(count, v.description("How many blobs are fetched now.")),
  lastAnswerAt: v.optional(time),
  lastFailure: v.optional(v.object({ at: time, detail: v.string() })),
  rateLimit: v.optional(
    v.pipe(
      v.object({ limit: count, remaining: count, windowSeconds: v.optional(count), at: time }),
      v.description("As its answers said last."),
    ),
  ),
  cached: v.pipe(count, v.description("How many repositories are cached.")),
  reserved: v.pipe(
    v.array(v.string()),
    v.description("Repositories that were pushed under its id: they never ask it, and take no more pushes."),
  ),
});

/** What a check found. */
const upstreamCheck = v.object({
  reachable: v.boolean(),
  detail: v.string(),
  milliseconds: count,
  reserved: v.array(v.string()),
});

/** What an eviction removed. */
export const evicted = v.object({ manifests: count, blobs: count, bytes: count });

const repositoryThere = v.pipe(repositoryName, v.description("A repository, by its name at the upstream."));

export const upstreams = {
  "/upstreams": {
    name: "upstreams",
    GET: {
      id: "listUpstreams",
      summary: "Lists the registries that are cached",
      access: "administrator",
      answers: {
        200: { description: "The upstreams", body: v.object({ upstreams: v.array(upstream) }) },
      },
    },
  },
  "/upstreams/{upstream}": {
    name: "upstream",
    GET: {
      id: "getUpstream",
      summary: "Says what is known of an upstream",
      details: "Its state is in memory, and unknown again after an object was restarted.",
      access: "administrator",
      answers: { 200: { description: "The upstream", body: upstreamDetails } },
    },
  },
  "/upstreams/{upstream}/check": {
    name: "upstream-check",
    POST: {
      id: "checkUpstream",
      summary: "Asks an upstream, or a repository of it, whether it answers",
      details: "Also if it is left alone because it failed. If it answers, it is asked again at once.",
      access: "administrator",
      audit: "none",
      body: v.strictObject({ repository: v.exactOptional(repositoryThere) }),
      isBodyOptional: true,
      answers: { 200: { description: "What came of it", body: upstreamCheck } },
    },
  },
  "/upstreams/{upstream}/evict": {
    name: "upstream-eviction",
    POST: {
      id: "evictUpstream",
      summary: "Removes cached content of an upstream",
      details:
        "Manifests with what only they reference. They are fetched again when they are pulled. Bytes are deleted soon after.",
      access: "administrator",
      audit: { action: "upstream.evict", target: "{upstream}" },
      body: v.strictObject({
        repository: v.exactOptional(repositoryThere),
        unusedDays: v.exactOptional(
          must(
            "a whole number of days",
            v.pipe(
              v.number(),
              v.integer(),
              v.minValue(0),
              v.maxValue(36_500),
              v.description("Only what was not used for more than so many days; everything if left out."),
            ),
          ),
        ),
      }),
      isBodyOptional: true,
      answers: { 200: { description: "What was removed", body: evicted } },
    },
  },
} as const satisfies Resource;
