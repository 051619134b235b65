/**
 * Upload sessions that take bytes, and ending one: for administrators.
 */
import { namedUploadStub, uploadPools } from "../objects/stubs.ts";
import type { OpenSession } from "../objects/upload-channel.ts";
import type { Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { Registry } from "./registry.ts";
import { mapAtOnce } from "./walk.ts";

/** How many are listed. */
const mostListedUploads = 1000;

/**
 * The sessions, the oldest first. Where each has an object of its own, those are asked that lasted so long that the catalog
 * heard of them: half a minute. Bodies of known length that are sent in one piece have no session.
 */
export async function listOpenUploads(registry: Registry): Promise<OpenSession[]> {
  const { env } = registry;
  const pools = uploadPools(env);
  const objects =
    pools?.map((name) => namedUploadStub(env, name)) ??
    (await registry.catalog().openUploads(mostListedUploads)).map((id) => registry.upload(id));
  const found = await mapAtOnce(objects, (object) => object.openSessions(mostListedUploads));
  return found
    .flat()
    .sort((one, other) => (one.opened?.atMs ?? 0) - (other.opened?.atMs ?? 0))
    .slice(0, mostListedUploads);
}

/** Cancels a session, and deletes what it stored. Error: `BLOB_UPLOAD_UNKNOWN`. */
export function dropUpload(registry: Registry, id: string): Promise<Result<{ repository: RepositoryName }>> {
  return registry.upload(id).drop(id);
}
