/** `/api/v1/restorable` */
import type { restorable } from "../../../contract/restorable.ts";
import { listRestorable } from "../../../registry/restore.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const restorableHandlers: HandlersOf<typeof restorable> = {
  "/restorable": {
    GET: async ({ registry, page }) => {
      const { entries, last } = await listRestorable(registry, page);
      const repositories = entries.map(({ manifests, ...entry }) => ({
        ...entry,
        manifests: manifests.map(({ sizeBytes, ...manifest }) => ({ ...manifest, size: sizeBytes })),
      }));
      return { status: 200, body: { repositories }, next: page.limit > 0 ? last : undefined };
    },
  },
};
