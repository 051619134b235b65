/** `/api/v1/audit` */
import type { audit } from "../../../contract/audit.ts";
import { auditQueueOf } from "../../auth/audit.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const auditHandlers: HandlersOf<typeof audit> = {
  "/audit": {
    GET: async ({ registry, query, page }) => {
      // Also list the refusals that this isolate has not written yet.
      await auditQueueOf(registry).flush();
      const { entries, more } = await registry.catalog().listAudit(query.kind, page.last, page.limit);
      return { status: 200, body: { entries }, next: more ? entries.at(-1)?.id.toString() : undefined };
    },
  },
};
