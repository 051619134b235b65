/** `/api/v1/replica` */
import type { replica } from "../../../contract/replica.ts";
import { rebuildReplica } from "../../../registry/scrub.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const replicaHandlers: HandlersOf<typeof replica> = {
  "/replica/rebuild": {
    POST: async ({ registry, body }) => {
      const rebuilt = await rebuildReplica(registry, body.cursor);
      if (!rebuilt.ok) return rebuilt;
      const { repositories, removed, cursor } = rebuilt;
      return { status: 200, body: { repositories, removed, cursor } };
    },
  },
};
