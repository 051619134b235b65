/** `/api/v1/deleted` */
import type { deletedContent, Deletion as ShownDeletion } from "../../../contract/deleted.ts";
import { listDeleted, listDeletedIn, restoreRepository } from "../../../registry/restore.ts";
import type { Deletion } from "../../../rpc/upkeep.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";

function view(deletion: Deletion): ShownDeletion {
  const { atMs, untilMs, actor } = deletion;
  const deleted = { deletedAt: timeOf(atMs), actor, until: timeOf(untilMs) };
  switch (deletion.what) {
    case "repository":
      return { what: "repository", generation: deletion.generation, ...deleted };
    case "manifest": {
      const { digest, sizeBytes, tags } = deletion;
      return { what: "manifest", digest, size: sizeBytes, tags, ...deleted };
    }
    case "tag":
      return { what: "tag", tag: deletion.tag, digest: deletion.digest, ...deleted };
  }
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

export const deletedHandlers: HandlersOf<typeof deletedContent> = {
  "/deleted": {
    GET: async ({ registry, page }) => {
      const { entries, last } = await listDeleted(registry, page);
      const repositories = entries.map(({ name, deletions, more }) => ({
        name,
        deleted: deletions.map(view),
        more,
      }));
      return { status: 200, body: { repositories }, next: page.limit > 0 ? last : undefined };
    },
  },
  "/repositories/{name}/deleted": {
    GET: async ({ registry, repository, page }) => {
      const { entries, last } = await listDeletedIn(registry, repository, page);
      return { status: 200, body: { deleted: entries.map(view) }, next: page.limit > 0 ? last : undefined };
    },
  },
  "/repositories/{name}/restore": {
    POST: async (call) => {
      const { registry, repository, body } = call;
      const restored = await restoreRepository(registry, repository, body.generation, eventOrigin(call));
      if (!restored.ok) return restored;
      const { generation, deletedAtMs, isComplete } = restored;
      const answer = { name: repository, generation, deletedAt: timeOf(deletedAtMs), isComplete };
      return { status: 200, body: answer, audited: { detail: `generation ${generation}` } };
    },
  },
};
