/** `/api/v1/repositories/{name}/tags` */
import type { tags } from "../../../contract/tags.ts";
import { failure } from "../../../oci/errors.ts";
import { describeTag, describeTags } from "../../../registry/facts.ts";
import { restoreTag, tagHistory } from "../../../registry/restore.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { tagView } from "./facts.ts";

export const tagHandlers: HandlersOf<typeof tags> = {
  "/repositories/{name}/tags": {
    GET: async (call) => {
      const listed = await describeTags(call, call.page);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      return {
        status: 200,
        body: { tags: entries.map(tagView) },
        next: more ? entries.at(-1)?.tag : undefined,
      };
    },
  },
  "/repositories/{name}/tags/{tag}": {
    GET: async (call) => {
      const { tag } = call.params;
      const found = await describeTag(call, tag);
      if (!found.ok) return found;
      const { tags, indexes } = found.manifest;
      const otherTags = tags.filter((each) => each !== tag);
      return { status: 200, body: { ...tagView(found.tag), otherTags, indexes } };
    },
  },
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
