/** `/api/v1/keys` */
import type { keys } from "../../../contract/keys.ts";
import { authCacheOf } from "../../auth/authenticate.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const keyHandlers: HandlersOf<typeof keys> = {
  "/keys/rotate": {
    // Tokens that were issued before stay valid: the earlier keys still verify them.
    POST: async ({ registry }) => {
      const rotated = await registry.catalog().rotateSigningKey();
      await authCacheOf(registry).keys.replace(rotated);
      const verifying = rotated.map(({ kid }) => kid);
      const [signing = ""] = verifying;
      return { status: 200, body: { signing, verifying }, audited: { key: signing } };
    },
  },
};
