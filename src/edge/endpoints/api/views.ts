/** `/api/v1/repositories/{name}/references`, `…/history`, `…/untagged` */
import type { views } from "../../../contract/views.ts";
import { failure } from "../../../oci/errors.ts";
import type { ListedContent } from "../../../oci/manifest-content.ts";
import { parseDigest, parseTag } from "../../../oci/reference.ts";
import { type ContentView, type LayerView, viewReference } from "../../../registry/views.ts";
import type { ReferrerView } from "../../../rpc/ledger-views.ts";
import type { Access } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { accountsView, configView, factsView, tagView, verbsOf } from "./facts.ts";

export const viewHandlers: HandlersOf<typeof views> = {
  "/repositories/{name}/references/{reference}": {
    GET: async (call) => {
      const { params, query, access, repository } = call;
      const digest = parseDigest(params.reference);
      const tag = parseTag(params.reference);
      if (digest === undefined && tag === undefined) return failure("TAG_INVALID", { tag: params.reference });
      const reference = digest === undefined ? { tag: tag as NonNullable<typeof tag> } : { digest };
      const found = await viewReference(call, reference, query.platform);
      if (!found.ok) return found;
      const { view } = found;
      const body = {
        ...(view.tag === undefined ? {} : { tag: tagView(access, view.tag) }),
        may: verbsOf(access, repository),
        granted: access.may("pull", repository),
        content: contentView(access, view.content),
        ...(view.image === undefined ? {} : { image: contentView(access, view.image) }),
      };
      return { status: 200, body };
    },
  },
  "/repositories/{name}/history": {
    GET: async ({ registry, repository, page, access }) => {
      const listed = await registry.ledger(repository).history(page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const history = entries.map(({ atMs, actor, reason, ...move }) => ({
        ...move,
        time: new Date(atMs).toISOString(),
        actor: "",
        ...accountsView(access, { actor }),
        ...(reason === null ? {} : { reason }),
      }));
      return { status: 200, body: { history }, next: more ? entries.at(-1)?.sequence.toString() : undefined };
    },
  },
  "/repositories/{name}/untagged": {
    GET: async ({ registry, repository, page, access }) => {
      const listed = await registry.ledger(repository).untagged(page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const manifests = entries.map((entry) => ({ ...factsView(access, entry), tags: entry.tags }));
      return { status: 200, body: { manifests }, next: more ? entries.at(-1)?.digest : undefined };
    },
  },
};

function contentView(access: Access, view: ContentView) {
  const { manifest, annotations, config, steps, children, referrers, text } = view;
  return {
    ...factsView(access, manifest),
    tags: manifest.tags,
    indexes: manifest.indexes,
    annotations,
    ...(config === undefined ? {} : { config: configView(config) }),
    layers: steps.map(layerView),
    children: children.map(({ manifest: known, ...child }) => ({
      ...listedView(child),
      ...(known === undefined ? {} : { manifest: factsView(access, known) }),
    })),
    referrers: referrers.map((each) => referrerView(access, each)),
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

function referrerView(access: Access, entry: ReferrerView): ReferrerAnswer {
  const { by, tag, annotations, layers, referrers } = entry;
  return {
    ...factsView(access, entry),
    by,
    ...(tag === undefined ? {} : { tag }),
    annotations,
    layers: layers.map(listedView),
    referrers: referrers.map((each) => referrerView(access, each)),
  };
}
