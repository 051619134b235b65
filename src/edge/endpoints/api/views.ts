/** `/api/v1/repositories/{name}/references`, `…/history`, `…/untagged` */
import type { views } from "../../../contract/views.ts";
import { failure } from "../../../oci/errors.ts";
import type { ListedContent } from "../../../oci/manifest-content.ts";
import { parseDigest, parseTag } from "../../../oci/reference.ts";
import { type ContentView, type LayerView, viewReference } from "../../../registry/views.ts";
import type { ReferrerView } from "../../../rpc/ledger-views.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { configView, factsView, tagView } from "./facts.ts";

export const viewHandlers: HandlersOf<typeof views> = {
  "/repositories/{name}/references/{reference}": {
    GET: async (call) => {
      const { params, query } = call;
      const digest = parseDigest(params.reference);
      const tag = parseTag(params.reference);
      if (digest === undefined && tag === undefined) return failure("TAG_INVALID", { tag: params.reference });
      const reference = digest === undefined ? { tag: tag as NonNullable<typeof tag> } : { digest };
      const found = await viewReference(call, reference, query.platform);
      if (!found.ok) return found;
      const { view } = found;
      const body = {
        ...(view.tag === undefined ? {} : { tag: tagView(view.tag) }),
        content: contentView(view.content),
        ...(view.image === undefined ? {} : { image: contentView(view.image) }),
      };
      return { status: 200, body };
    },
  },
  "/repositories/{name}/history": {
    GET: async ({ registry, repository, page }) => {
      const listed = await registry.ledger(repository).history(page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const history = entries.map(({ atMs, reason, ...move }) => ({
        ...move,
        time: new Date(atMs).toISOString(),
        ...(reason === null ? {} : { reason }),
      }));
      return { status: 200, body: { history }, next: more ? entries.at(-1)?.sequence.toString() : undefined };
    },
  },
  "/repositories/{name}/untagged": {
    GET: async ({ registry, repository, page }) => {
      const listed = await registry.ledger(repository).untagged(page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const manifests = entries.map((entry) => ({ ...factsView(entry), tags: entry.tags }));
      return { status: 200, body: { manifests }, next: more ? entries.at(-1)?.digest : undefined };
    },
  },
};

function contentView({ manifest, annotations, config, steps, children, referrers, text }: ContentView) {
  return {
    ...factsView(manifest),
    tags: manifest.tags,
    indexes: manifest.indexes,
    annotations,
    ...(config === undefined ? {} : { config: configView(config) }),
    layers: steps.map(layerView),
    children: children.map(({ manifest: known, ...child }) => ({
      ...listedView(child),
      ...(known === undefined ? {} : { manifest: factsView(known) }),
    })),
    referrers: referrers.map(referrerView),
    ...(text === undefined ? {} : { text }),
  };
}

function layerView({ sizeBytes = 0, annotations = {}, platform: _, ...layer }: LayerView) {
  return { ...layer, size: sizeBytes, annotations };
}

function listedView({ sizeBytes, ...entry }: ListedContent) {
  return { ...entry, size: sizeBytes };
}

type ReferrerAnswer = ReturnType<typeof factsView> & {
  by: ReferrerView["by"];
  tag?: string;
  annotations: Record<string, string>;
  layers: ReturnType<typeof listedView>[];
  referrers: ReferrerAnswer[];
};

function referrerView(entry: ReferrerView): ReferrerAnswer {
  const { by, tag, annotations, layers, referrers } = entry;
  return {
    ...factsView(entry),
    by,
    ...(tag === undefined ? {} : { tag }),
    annotations,
    layers: layers.map(listedView),
    referrers: referrers.map(referrerView),
  };
}
