/** `/api/v1/uploads`: upload sessions that are under way. */
import { failure } from "../../../oci/errors.ts";
import { dropUpload, listOpenUploads } from "../../../registry/uploads.ts";
import { audit } from "../../auth/audit.ts";
import { type Answer, type Context, jsonReply } from "../../context.ts";

/** Lists the sessions that take bytes, the oldest first. */
export async function listUploads({ registry }: Context): Promise<Answer> {
  const uploads = await listOpenUploads(registry);
  return jsonReply({
    uploads: uploads.map(({ id, repository, offset, opened, lastActiveAtMs, isWriting }) => ({
      id,
      repository,
      account: opened?.actor,
      startedAt: opened === undefined ? undefined : new Date(opened.atMs).toISOString(),
      lastActiveAt: new Date(lastActiveAtMs).toISOString(),
      bytes: offset,
      writing: isWriting,
    })),
  });
}

/** Ends a session, and deletes what it stored. */
export async function removeUpload(context: Context): Promise<Answer> {
  const { registry, params } = context;
  const { upload = "" } = params;
  // Each id makes an object where there is none.
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(upload))
    return { failure: failure("BLOB_UPLOAD_UNKNOWN") };
  const dropped = await dropUpload(registry, upload);
  if (!dropped.ok) return { failure: dropped };
  audit(context, { action: "upload.drop", target: dropped.repository, outcome: "done", detail: upload });
  return { status: 204 };
}
