/** `/api/v1/usage` */
import type { usage } from "../../../contract/usage.ts";
import { readUsage } from "../../../registry/collection.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const usageHandlers: HandlersOf<typeof usage> = {
  "/usage": {
    GET: async ({ registry, page }) => {
      const { entries, more, total } = await readUsage(registry, page);
      const next = more && page.limit > 0 ? entries.at(-1)?.name : undefined;
      return { status: 200, body: { repositories: entries, total }, next };
    },
  },
};
