/** What a page about a tag or manifest shows, collected from the ledger and the config of the image. */
import type { Result } from "../oci/errors.ts";
import type { ImageConfig } from "../oci/image-config.ts";
import type { ListedContent } from "../oci/manifest-content.ts";
import { type Digest, parseDigest, type Tag } from "../oci/reference.ts";
import type { ManifestView } from "../rpc/ledger-views.ts";
import type { TagEntry } from "../rpc/manifest-facts.ts";
import { type Asked, describeManifest, describeTag } from "./facts.ts";

/** A layer, or a setting between layers, with the command that made it. */
export type LayerView = Partial<ListedContent> & { command?: string; comment?: string; isEmpty: boolean };

/** A manifest with what its config says. */
export type ContentView = ManifestView & { config: ImageConfig | undefined; steps: LayerView[] };

/** What a tag or digest leads to. `image`: of an index, the image for a platform. */
export type ReferenceView = { tag?: TagEntry; content: ContentView; image?: ContentView };

/**
 * Everything that a page shows of a tag or manifest. `platform`: which image of an index; without it, the first.
 * Errors: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`.
 */
export async function viewReference(
  asked: Asked,
  reference: { tag: Tag } | { digest: Digest },
  platform: string | undefined,
): Promise<Result<{ view: ReferenceView }>> {
  const tagged = "tag" in reference ? await describeTag(asked, reference.tag) : undefined;
  if (tagged?.ok === false) return tagged;
  const digest = "digest" in reference ? reference.digest : tagged?.tag.digest;
  if (digest === undefined) throw new Error("a reference is a tag or a digest");
  const content = await viewContent(asked, digest);
  if (!content.ok) return content;
  const tag = tagged === undefined ? {} : { tag: tagged.tag };
  const child = imageFor(content.content, platform);
  const image = child === undefined ? undefined : await viewContent(asked, child);
  const shown = image?.ok === true ? { image: image.content } : {};
  return { ok: true, view: { ...tag, content: content.content, ...shown } };
}

/** The digest of the image of an index for this platform, or of its first; `undefined` if there is none. */
function imageFor({ children }: ContentView, platform: string | undefined): Digest | undefined {
  const images = children.filter(({ manifest }) => manifest?.kind === "image");
  const found = images.find((child) => child.platform === platform) ?? images[0];
  return parseDigest(found?.digest ?? "");
}

async function viewContent(asked: Asked, digest: Digest): Promise<Result<{ content: ContentView }>> {
  const [viewed, described] = await Promise.all([
    asked.registry.ledger(asked.repository).view(digest),
    describeManifest(asked, digest),
  ]);
  if (!viewed.ok) return viewed;
  if (!described.ok) return described;
  const { view } = viewed;
  const { manifest, config } = described;
  return { ok: true, content: { ...view, manifest, config, steps: zip(view.layers, config) } };
}

/** Layers with the history of the config, whose entries stand for a layer each unless they say that they made none. */
function zip(layers: ListedContent[], config: ImageConfig | undefined): LayerView[] {
  const history = config?.history ?? [];
  const filled = history.filter(({ isEmptyLayer }) => !isEmptyLayer).length;
  // Some builders write no history, or one that does not fit: then commands would stand beside the wrong layers.
  if (filled !== layers.length) return layers.map((layer) => ({ ...layer, isEmpty: false }));
  let next = 0;
  return history.map(({ createdBy, comment, isEmptyLayer }) => ({
    ...(isEmptyLayer ? {} : layers[next++]),
    ...(createdBy === undefined ? {} : { command: createdBy }),
    ...(comment === undefined ? {} : { comment }),
    isEmpty: isEmptyLayer,
  }));
}
