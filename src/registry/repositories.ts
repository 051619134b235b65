/**
 * Repositories as wholes: lists, settings, deletion.
 */

import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { PageRequest } from "../oci/http.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { addressByName, isAllowed } from "../oci/upstream.ts";
import type { ListedRepository, Page, RepositoryChange, RepositoryInfo, Visibility } from "../rpc/api.ts";
import { nameIndexStub } from "../rpc/stubs.ts";
import type { EndedGeneration } from "../rpc/upkeep.ts";
import type { Settings } from "../settings/settings.ts";
import { registeredMs } from "./ledgers.ts";
import { nameAfter, sealName } from "./list-cursor.ts";
import type { Registry } from "./registry.ts";

/** How many rows of the catalog are read at most for one page, as the caller may be allowed to see few of them. */
const catalogPage = 1000;
const maxCatalogPages = 20;

/** A page of repositories. `last`: where the next page begins, even if the caller may see no more repositories. */
export type RepositoryPage = Page<ListedRepository> & { last: string | undefined };

/**
 * A page of the repositories that are public or that the caller may pull. `last` is a name, or the `last` of a page.
 * Error: `PAGE_INVALID`.
 */
export async function listRepositories(
  registry: Registry,
  query: string,
  { last, limit }: PageRequest,
  mayPull: (name: RepositoryName) => boolean,
): Promise<Result<RepositoryPage>> {
  const entries: ListedRepository[] = [];
  let from = await nameAfter(registry, last);
  if (from === undefined) return failure("PAGE_INVALID", { last });
  for (let page = 0; page < maxCatalogPages; page++) {
    const found = await registry.catalog().listRepositories(query.toLowerCase(), from, catalogPage);
    for (const info of found.entries) {
      const visibility = visibilityOf(registry.settings, info.name, info);
      if (visibility !== "public" && !mayPull(info.name)) continue;
      if (entries.length === limit) return { ok: true, entries, more: true, last: entries.at(-1)?.name };
      entries.push({ ...info, visibility });
    }
    if (!found.more) return { ok: true, entries, more: false, last: undefined };
    from = found.entries.at(-1)?.name ?? from;
  }
  return { ok: true, entries, more: true, last: await sealName(registry, from) };
}

/** How long an isolate caches whether a repository is public, in milliseconds. */
const visibilityTtlMs = 30_000;

/** Whether a repository is public, if that is cached in the isolate. */
export function knownVisibility({ visibilities }: Registry, repository: RepositoryName): boolean | undefined {
  return visibilities.get(repository)?.isPublic;
}

/**
 * Whether everybody may pull a repository. One that does not exist is not public.
 *
 * A private repository and a name without one are answered by the same call, and only "yes" is cached. So neither the
 * answer nor its time tells them apart. For a name of an upstream the settings decide, so the index is not asked.
 */
export async function isPublic(registry: Registry, repository: RepositoryName): Promise<boolean> {
  const known = knownVisibility(registry, repository);
  if (known !== undefined) return known;
  const isCached = addressByName(registry.settings.upstreams, repository)?.cached !== undefined;
  if (!isCached && (await nameIndexStub(registry.objects, repository).mayBePublic(repository)) === false)
    return false;
  const info = await (isCached ? registry.ledger(repository) : registry.listedLedger(repository)).info();
  if (info !== undefined) registry.registered.set(repository, true, registeredMs);
  const answer = visibilityOf(registry.settings, repository, info) === "public";
  registry.visibilities.set(repository, { isPublic: answer }, visibilityTtlMs);
  return answer;
}

/**
 * Who may pull a repository. That of a cached one follows from the settings, at each request: it is private if its
 * upstream was removed from them. `info`: `undefined` if the repository does not exist here (yet).
 */
export function visibilityOf(
  settings: Pick<Settings, "upstreams">,
  repository: RepositoryName,
  info: Pick<RepositoryInfo, "kind" | "visibility"> | undefined,
): Visibility {
  if (info !== undefined && info.kind !== "cache") return info.visibility;
  const cached = addressByName(settings.upstreams, repository)?.cached;
  return cached !== undefined && isAllowed(cached) ? cached.upstream.visibility : "private";
}

/**
 * Changes the visibility or description of a repository. Errors: `NAME_UNKNOWN`; `UPSTREAM_DECIDES` for the visibility of
 * a cached one.
 */
export async function changeRepository(
  registry: Registry,
  repository: RepositoryName,
  change: RepositoryChange,
  origin: Origin,
): Promise<Result<{ info: RepositoryInfo }>> {
  if (change.visibility !== undefined && addressByName(registry.settings.upstreams, repository)?.cached) {
    const known = await registry.ledger(repository).info();
    if (known?.kind === "cache") return failure("UPSTREAM_DECIDES", { repository });
  }
  const registration =
    change.visibility === "public" ? await registerAsPublic(registry, repository) : undefined;
  const info = await registry.ledger(repository).setInfo(change, origin, registration);
  registry.visibilities.delete(repository);
  if (info === undefined) return failure("NAME_UNKNOWN", { repository });
  return { ok: true, info: { ...info, visibility: visibilityOf(registry.settings, repository, info) } };
}

/**
 * Registers the name of a repository that is going to be public. `undefined`: there is none, so nothing is registered
 * that nobody would remove.
 */
async function registerAsPublic(registry: Registry, repository: RepositoryName): Promise<number | undefined> {
  if ((await registry.ledger(repository).info()) === undefined) return undefined;
  return nameIndexStub(registry.objects, repository).register(repository, true);
}

/** Deletes a repository with all its contents. Errors: `NAME_UNKNOWN`, `TAG_IMMUTABLE`. */
export async function deleteRepository(
  registry: Registry,
  repository: RepositoryName,
  origin: Origin,
): Promise<Result<EndedGeneration>> {
  registry.visibilities.delete(repository);
  const deleted = await registry
    .ledger(repository)
    .deleteRepository(origin, await registry.policies.of(repository));
  // A repository that did not exist counts as deleted, too; see caches.ts.
  if (deleted.ok || deleted.error === "NAME_UNKNOWN") registry.cache.noteRepositoryDeletion(repository);
  return deleted;
}
