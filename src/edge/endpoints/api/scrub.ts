/** `/api/v1/scrub` */
import type { scrub } from "../../../contract/scrub.ts";
import { scrub as scrubAll } from "../../../registry/scrub.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const scrubHandlers: HandlersOf<typeof scrub> = {
  "/scrub": {
    POST: async ({ registry, body }) => {
      const scrubbed = await scrubAll(registry, body.cursor);
      if (!scrubbed.ok) return scrubbed;
      const { report, cursor } = scrubbed;
      const { repaired, problems, refused, unchecked } = report;
      const detail = `${repaired.length} repaired, ${problems.length} problems, ${refused.length} refused today, ${unchecked.length} left out`;
      return { status: 200, body: { ...report, cursor }, audited: { detail } };
    },
  },
};
