/** `/api/v1/repositories/{name}/manifests` */
import type { manifests } from "../../../contract/manifests.ts";
import { listManifests, restoreManifest } from "../../../registry/restore.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const manifestHandlers: HandlersOf<typeof manifests> = {
  "/repositories/{name}/manifests": {
    GET: async ({ registry, repository, page }) => {
      const listed = await listManifests(registry, repository, page);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const views = entries.map(({ sizeBytes, pushedAtMs, ...entry }) => ({
        ...entry,
        size: sizeBytes,
        pushedAt: new Date(pushedAtMs).toISOString(),
      }));
      return { status: 200, body: { manifests: views }, next: more ? entries.at(-1)?.digest : undefined };
    },
  },
  "/repositories/{name}/manifests/{digest}/restore": {
    POST: async (call) => {
      const { registry, repository, params } = call;
      const restored = await restoreManifest(registry, repository, params.digest, eventOrigin(call));
      if (!restored.ok) return restored;
      return { status: 200, body: { digest: params.digest, tags: restored.tags } };
    },
  },
};
