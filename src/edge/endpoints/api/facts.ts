/** Manifests and tags as the management API shows them. */
import { type Verb, verbs } from "../../../oci/grant.ts";
import type { ImageConfig } from "../../../oci/image-config.ts";
import type { RepositoryName } from "../../../oci/reference.ts";
import type { ManifestEntry, TagEntry } from "../../../rpc/manifest-facts.ts";
import { formatDay } from "../../../units.ts";
import type { Access } from "../../context.ts";

/**
 * Fields that name accounts, as a caller sees them: those who have no account do not learn who has one. The name of an
 * identity of another issuer may contain that of a private repository elsewhere.
 */
export function accountsView<Fields extends object>(
  { credential }: Access,
  fields: Fields,
): Fields | Record<never, never> {
  return credential === "none" ? {} : fields;
}

/** What a caller may do with a repository. Whoever gets an answer may pull, if only because it is public. */
export function verbsOf(access: Access, repository: RepositoryName): Verb[] {
  return verbs.filter((verb) => verb === "pull" || access.may(verb, repository));
}

/** A manifest, or what a tag points at, without its tags. */
export function factsView(access: Access, entry: Omit<ManifestEntry, "tags">) {
  const { kind, contentBytes, platforms, createdAtMs, pushedBy, usedDay, artifactType, subject } = entry;
  return {
    digest: entry.digest,
    mediaType: entry.mediaType,
    size: entry.sizeBytes,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
    ...(kind === undefined ? {} : { kind }),
    ...(contentBytes === undefined ? {} : { imageSize: contentBytes }),
    ...(platforms === undefined ? {} : { platforms }),
    ...(createdAtMs === undefined ? {} : { createdAt: timeView(createdAtMs) }),
    pushedAt: timeView(entry.pushedAtMs),
    ...accountsView(access, pushedBy === undefined ? {} : { pushedBy }),
    ...(usedDay === undefined ? {} : { lastUsed: formatDay(usedDay) }),
  };
}

/** A tag. */
export function tagView(access: Access, entry: TagEntry) {
  const { tag, updatedAtMs, updatedBy } = entry;
  return {
    tag,
    ...factsView(access, entry),
    updatedAt: timeView(updatedAtMs),
    ...accountsView(access, updatedBy === undefined ? {} : { updatedBy }),
  };
}

/** The config of an image. */
export function configView({ createdAtMs, history, ...config }: ImageConfig) {
  return {
    ...config,
    ...(createdAtMs === undefined ? {} : { createdAt: timeView(createdAtMs) }),
    history: history.map(({ createdAtMs: at, ...entry }) => ({
      ...entry,
      ...(at === undefined ? {} : { createdAt: timeView(at) }),
    })),
  };
}

function timeView(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
