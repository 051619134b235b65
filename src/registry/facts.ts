/**
 * Lists of manifests and tags with what is known of them.
 *
 * What only the config of an image says, such as its platform, is read when it is first asked for, and then stored in
 * the ledger: a push need not wait for it, and many images are never asked about.
 */
import { log } from "../log.ts";
import type { Result } from "../oci/errors.ts";
import type { PageRequest } from "../oci/http.ts";
import { type ImageConfig, maxConfigBytes, readImageConfig } from "../oci/image-config.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { Page } from "../rpc/api.ts";
import type { CountedTag, TagsWanted } from "../rpc/ledger-views.ts";
import type {
  ConfigFacts,
  ManifestDescription,
  ManifestDetails,
  ManifestEntry,
  TagEntry,
} from "../rpc/manifest-facts.ts";
import { findBlob, readBlob } from "./blobs.ts";
import type { Registry } from "./registry.ts";
import type { WaitUntil } from "./shared-calls.ts";
import { mapAtOnce } from "./walk.ts";

/** A repository, and what keeps work going that outlives the answer. */
export type Asked = { registry: Registry; repository: RepositoryName; waitUntil: WaitUntil };

/** A page of all manifests, tagged or not, in the order of their digests. Error: `NAME_UNKNOWN`. */
export async function listManifests(
  asked: Asked,
  { last, limit }: PageRequest,
): Promise<Result<{ page: Page<ManifestEntry> }>> {
  const { registry, repository } = asked;
  const listed = await registry.ledger(repository).listManifests(last, limit);
  if (!listed.ok) return listed;
  const { entries, more } = listed.page;
  return { ok: true, page: { entries: await withConfigs(asked, entries), more } };
}

/** A page of tags, each with what is known of its manifest. Error: `NAME_UNKNOWN`. */
export async function describeTags(
  asked: Asked,
  { last, limit }: PageRequest,
): Promise<Result<{ page: Page<TagEntry> }>> {
  const { registry, repository } = asked;
  const listed = await registry.ledger(repository).describeTags(last, limit);
  if (!listed.ok) return listed;
  const { entries, more } = listed.page;
  return { ok: true, page: { entries: await withConfigs(asked, entries), more } };
}

/**
 * A page of tags in an order, from a position on, each with how much refers to its manifest. Error: `NAME_UNKNOWN`.
 */
export async function findTags(
  asked: Asked,
  wanted: TagsWanted,
): Promise<Result<{ entries: CountedTag[]; next: number | undefined }>> {
  const { registry, repository } = asked;
  const found = await registry.ledger(repository).findTags(wanted);
  return found.ok ? { ...found, entries: await withConfigs(asked, found.entries) } : found;
}

/** A tag with its manifest. Errors: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`. */
export async function describeTag(
  asked: Asked,
  tag: Tag,
): Promise<Result<{ tag: TagEntry; manifest: ManifestDetails }>> {
  const { registry, repository } = asked;
  const ledger = registry.ledger(repository);
  const found = await ledger.describeTag(tag);
  if (!found.ok) return found;
  const described = await ledger.describeManifest(found.tag.digest);
  if (!described.ok) return described;
  const [entry = found.tag] = await withConfigs(asked, [found.tag]);
  return { ok: true, tag: entry, manifest: described.manifest };
}

/** A manifest, and what its config says if it is an image. Errors: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`. */
export async function describeManifest(
  asked: Asked,
  digest: Digest,
): Promise<Result<{ manifest: ManifestDetails; config: ImageConfig | undefined }>> {
  const { registry, repository } = asked;
  const found = await registry.ledger(repository).describeManifest(digest);
  if (!found.ok) return found;
  const { manifest } = found;
  const config = manifest.config === undefined ? undefined : await readConfig(asked, manifest.config);
  const [entry, ...manifests] = await withConfigs(asked, [manifest, ...manifest.manifests]);
  return { ok: true, manifest: { ...manifest, ...entry, manifests }, config };
}

/** How many configs are read for one page at most. What is left is read for the next one. */
const maxConfigs = 100;

/** Adds to entries what only the config of an image says, and has the ledger store it. */
async function withConfigs<Entry extends ManifestDescription & { digest: Digest }>(
  asked: Asked,
  entries: Entry[],
): Promise<Entry[]> {
  const unread = new Map(
    entries.flatMap(({ digest, platforms, config }) =>
      platforms === undefined && config !== undefined ? [[digest, config] as const] : [],
    ),
  );
  if (unread.size === 0) return entries;
  const read = await mapAtOnce([...unread].slice(0, maxConfigs), async ([manifest, digest]) => {
    const config = await readConfig(asked, digest);
    return config === undefined ? [] : [factsOf(manifest, config)];
  });
  const facts = new Map(read.flat().map((each) => [each.manifest, each]));
  if (facts.size === 0) return entries;
  const { registry, repository, waitUntil } = asked;
  // If it is not stored, the next list reads it again.
  waitUntil(
    registry
      .ledger(repository)
      .addConfigFacts([...facts.values()])
      .catch(() => {}),
  );
  return entries.map((entry) => {
    const { manifest: _, ...known } = facts.get(entry.digest) ?? { manifest: entry.digest };
    return { ...entry, ...known };
  });
}

function factsOf(manifest: Digest, { platform, createdAtMs }: ImageConfig): ConfigFacts {
  return {
    manifest,
    platforms: platform === undefined ? [] : [platform],
    ...(createdAtMs === undefined ? {} : { createdAtMs }),
  };
}

/** Reads the config of an image; `undefined` if the repository does not have it, or it cannot be read now. */
async function readConfig({ registry, repository }: Asked, digest: Digest): Promise<ImageConfig | undefined> {
  try {
    const found = await findBlob(registry, repository, digest, false);
    if (!found.ok) return undefined;
    if (found.location.sizeBytes > maxConfigBytes) return readImageConfig(new Uint8Array());
    const read = await readBlob(registry, repository, found.location, undefined);
    if (!read.ok) return undefined;
    const { body } = read;
    const isWhole = body instanceof Uint8Array;
    return readImageConfig(isWhole ? body : new Uint8Array(await new Response(body).arrayBuffer()));
  } catch (error) {
    log("warn", "config not read", { repository, digest, error: String(error) });
    return undefined;
  }
}
