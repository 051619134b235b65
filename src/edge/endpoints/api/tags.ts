/** `/api/v1/repositories/{name}/tags` */
import type { tags } from "../../../contract/tags.ts";
import { failure } from "../../../oci/errors.ts";
import type { TagOrder } from "../../../oci/tag-version.ts";
import { type Asked, describeTag, describeTags, findTags } from "../../../registry/facts.ts";
import { restoreTag, tagHistory } from "../../../registry/restore.ts";
import { type Context, eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { accountsView, tagView } from "./facts.ts";

/** A page of tags in another order than that of their names, or by a part of their names. `last` is a position. */
async function searchTags(
  asked: Asked & Pick<Context, "access">,
  { query = "", sort = "name" }: { query?: string | undefined; sort?: TagOrder | undefined },
  { last, limit }: { last: string; limit: number },
) {
  const offset = Number(last);
  if (!Number.isSafeInteger(offset) || offset < 0) return failure("PAGE_INVALID");
  const found = await findTags(asked, { query, order: sort, offset, limit });
  if (!found.ok) return found;
  const tags = found.entries.map((entry) => ({
    ...tagView(asked.access, entry),
    referrers: entry.referrers,
  }));
  return { status: 200 as const, body: { tags }, next: found.next?.toString() };
}

export const tagHandlers: HandlersOf<typeof tags> = {
  "/repositories/{name}/tags": {
    GET: async (call) => {
      const { query, page } = call;
      if (query.query !== undefined || query.sort !== undefined) return searchTags(call, query, page);
      const listed = await describeTags(call, page);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      return {
        status: 200,
        body: { tags: entries.map((entry) => tagView(call.access, entry)) },
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
      return { status: 200, body: { ...tagView(call.access, found.tag), otherTags, indexes } };
    },
  },
  "/repositories/{name}/tags/{tag}/history": {
    GET: async ({ registry, repository, params, page, access }) => {
      const listed = await tagHistory(registry, repository, params.tag, page.last, page.limit);
      if (!listed.ok) return listed;
      const { entries, more } = listed.page;
      const history = entries.map(({ sequence, atMs, actor, reason, from, to }) => {
        const time = new Date(atMs).toISOString();
        const why = reason === null ? {} : { reason };
        return { sequence, time, actor: "", ...accountsView(access, { actor }), ...why, from, to };
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
