/** `/api/v1/name-index` */
import type { nameIndex } from "../../../contract/name-index.ts";
import { rebuildNameIndex } from "../../../registry/ledgers.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const nameIndexHandlers: HandlersOf<typeof nameIndex> = {
  "/name-index/rebuild": {
    POST: async ({ registry }) => {
      const parts = await rebuildNameIndex(registry.objects);
      return { status: 200, body: { parts } };
    },
  },
};
