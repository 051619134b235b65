/** `/api/v1/uploads` */
import type { uploads } from "../../../contract/uploads.ts";
import { dropUpload, listOpenUploads } from "../../../registry/uploads.ts";
import type { HandlersOf } from "../../operations/handler.ts";

export const uploadHandlers: HandlersOf<typeof uploads> = {
  "/uploads": {
    GET: async ({ registry }) => {
      const open = await listOpenUploads(registry);
      const views = open.map(({ id, repository, offset, opened, lastActiveAtMs, isWriting }) => ({
        id,
        repository,
        account: opened?.actor,
        startedAt: opened === undefined ? undefined : new Date(opened.atMs).toISOString(),
        lastActiveAt: new Date(lastActiveAtMs).toISOString(),
        bytes: offset,
        writing: isWriting,
      }));
      return { status: 200, body: { uploads: views } };
    },
  },
  "/uploads/{upload}": {
    DELETE: async ({ registry, params: { upload } }) => {
      const dropped = await dropUpload(registry, upload);
      if (!dropped.ok) return dropped;
      return { status: 204, audited: { repository: dropped.repository, detail: upload } };
    },
  },
};
