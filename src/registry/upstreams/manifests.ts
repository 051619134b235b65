/**
 * Manifests of cached repositories: from here while they are fresh, else by a question to the upstream.
 */
import { meter } from "../../metrics/meter.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import type { Digest, RepositoryName, Tag } from "../../oci/reference.ts";
import { type Cached, isAllowed } from "../../oci/upstream.ts";
import type { TagState } from "../../rpc/cache-api.ts";
import type { FetchedContent, ManifestAnswer, PullOutcome } from "../../rpc/fetch-channel.ts";
import { fetchStub } from "../../rpc/stubs.ts";
import type { ManifestContent, TagAnswer } from "../manifests.ts";
import type { Registry } from "../registry.ts";
import type { WaitUntil } from "../shared-calls.ts";

/**
 * A pull through the cache. `mayAsk`: whether the caller has not asked for too much that does not exist; asked right
 * before the upstream is.
 */
export type CachedPull = {
  repository: RepositoryName;
  cached: Cached;
  origin: Origin;
  mayAsk: () => boolean;
};

/** What a tag points at; with the manifest if it has just come. `ordinary`: the repository was pushed, and is no cache. */
export type CachedTagAnswer = Result<{ answer: (TagAnswer & { content?: ManifestContent }) | "ordinary" }>;

/**
 * Resolves a tag of a cached repository. Errors: `MANIFEST_UNKNOWN`, which the upstream decides; `UPSTREAM_UNREACHABLE`,
 * `UPSTREAM_LIMITED`, `UPSTREAM_INVALID`; `TOOMANYREQUESTS`.
 */
export async function resolveCachedTag(
  registry: Registry,
  pull: CachedPull,
  tag: Tag,
  waitUntil: WaitUntil,
): Promise<CachedTagAnswer> {
  const { repository, cached } = pull;
  const { upstream } = cached;
  const look = (tags: Tag[]) => registry.ledger(repository).tagStates(tags);
  const state: TagState = await registry.cachedTags.ask(repository, tag, look, waitUntil);
  if (state.isOrdinary) return { ok: true, answer: "ordinary" };
  const { known } = state;
  const isFresh = known !== undefined && registry.clock.now() - known.checkedAtMs < upstream.tagTtlMs;
  const isAsked = isAllowed(cached) && !upstream.isOffline;
  if (known !== undefined && (isFresh || !isAsked))
    return answered(upstream.id, { ...known, outcome: "hit" });
  if (!isAsked) return failure("MANIFEST_UNKNOWN", { tag });
  if (!pull.mayAsk()) return failure("TOOMANYREQUESTS");
  const asked = await fetchStub(registry.objects, `${repository}:${tag}`).tag({ ...questionOf(pull), tag });
  if (!asked.ok) return asked;
  return asked.content === "ordinary"
    ? { ok: true, answer: "ordinary" }
    : answered(upstream.id, asked.content);
}

function answered(upstream: string, content: FetchedContent): CachedTagAnswer {
  const { digest, mediaType, sizeBytes, bytes, outcome } = content;
  countPull(upstream, outcome);
  const stat = { digest, mediaType, sizeBytes };
  const answer = { digest, stat, isStale: outcome === "stale" };
  return { ok: true, answer: bytes === undefined ? answer : { ...answer, content: { ...stat, bytes } } };
}

/** Counts a pull through a cache. */
export function countPull(upstream: string, outcome: PullOutcome): void {
  meter.add("stowage_upstream_pulls_total", [upstream, outcome]);
}

/**
 * Fetches a manifest that is not here by its digest. Errors as of {@link resolveCachedTag}.
 *
 * @returns `undefined` content if the ledger has it now
 */
export async function fetchManifest(
  registry: Registry,
  pull: CachedPull,
  digest: Digest,
): Promise<Result<{ content: ManifestContent | undefined }>> {
  const { repository, cached } = pull;
  if (!isAllowed(cached) || cached.upstream.isOffline) return failure("MANIFEST_UNKNOWN", { digest });
  if (!pull.mayAsk()) return failure("TOOMANYREQUESTS");
  const stub = fetchStub(registry.objects, `${repository}@${digest}`);
  const asked: ManifestAnswer = await stub.manifest({ ...questionOf(pull), digest });
  if (!asked.ok) return asked;
  const { content } = asked;
  if (content === "ordinary" || content.bytes === undefined) return { ok: true, content: undefined };
  countPull(cached.upstream.id, content.outcome);
  return { ok: true, content: { digest, mediaType: content.mediaType, bytes: content.bytes } };
}

/** What is asked on behalf of a pull. */
export function questionOf({ repository, cached: { upstream, name }, origin }: CachedPull) {
  return { repository, upstream: upstream.id, name, origin };
}
