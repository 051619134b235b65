/** `/api/v1/repositories/{name}/tags` */
import type { tags } from "../../../contract/tags.ts";
import { failure } from "../../../oci/errors.ts";
import { restoreTag, tagHistory } from "../../../registry/restore.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const tagHandlers: HandlersOf<typeof tags> = {
  "/repositories/{name}/tags/{tag}/history": {
    GET: async ({ registry, repository, params, page }) => {
      const listed = await tagHistory(registry, repository, params.tag, page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const history = entries.map(({ sequence, atMs, actor, from, to }) => {
        return { sequence, time: new Date(atMs).toISOString(), actor, from, to };
      });
      const next = more ? entries.at(-1)?.sequence.toString() : undefined;
      return { status: 200, body: { history }, next };
    },
  },
  "/repositories/{name}/tags/{tag}/restore": {
    POST: async (call) => {
      const { registry, repository, body } = call;
      const { tag } = call.params;
      if (body.digest !== undefined && body.sequence !== undefined) {
        return failure("REQUEST_INVALID", "digest and sequence exclude each other");
      }
      const restored = await restoreTag(registry, repository, tag, body, eventOrigin(call));
      if (!restored.ok) return restored;
      const { digest, sequence } = restored;
      return { status: 200, body: { tag, digest, sequence }, audited: { detail: digest } };
    },
  },
};
