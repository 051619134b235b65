/** `/api/v1/gc` */
import type { gc } from "../../../contract/gc.ts";
import { collect } from "../../../registry/collection.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const gcHandlers: HandlersOf<typeof gc> = {
  "/gc": {
    POST: async ({ registry, body: { cursor, now } }) => {
      const collected = await collect(registry, cursor, now);
      if (!collected.ok) return collected;
      const { freed, keptUntilMs } = collected;
      const keptMs = Math.max(0, keptUntilMs - registry.clock.now());
      return {
        status: 200,
        body: { freed, keptForSeconds: Math.ceil(keptMs / 1000), cursor: collected.cursor },
        audited: { action: now ? "gc.now" : "gc", detail: JSON.stringify(freed) },
      };
    },
  },
};
