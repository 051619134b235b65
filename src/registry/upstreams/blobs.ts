/** Blobs of cached repositories that are not here: streamed from the upstream while they are fetched. */
import { failure, type Result } from "../../oci/errors.ts";
import type { Digest } from "../../oci/reference.ts";
import { isAllowed } from "../../oci/upstream.ts";
import { type BlobAnswer, openBlob } from "../../rpc/fetch-channel.ts";
import { fetchStub } from "../../rpc/stubs.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { Registry } from "../registry.ts";
import { type CachedPull, countPull, questionOf } from "./manifests.ts";

/** A blob that comes from an upstream; see `BlobAnswer`. */
export type UpstreamBlob = Exclude<Extract<BlobAnswer, { ok: true }>, { how: "linked" }> & {
  body: ReadableStream<Uint8Array>;
};

/**
 * Opens a blob that the ledger does not have, or with `range` a part of it. `takesFiles`: what follows may be the list of
 * the files that have the bytes. Errors: `BLOB_UNKNOWN`, which the upstream decides; `UPSTREAM_UNREACHABLE`,
 * `UPSTREAM_LIMITED`, `UPSTREAM_INVALID`; `RANGE_UNSATISFIABLE`; `TOOMANYREQUESTS`.
 *
 * @returns `linked` if the ledger has it now: it is to be read as any other; or where it is, if it was just linked
 */
export async function openUpstreamBlob(
  registry: Registry,
  pull: CachedPull,
  digest: Digest,
  { range, takesFiles }: { range: string | undefined; takesFiles: boolean },
): Promise<Result<{ blob: UpstreamBlob | BlobLocation | "linked" }>> {
  const refused = refusalOf(pull, digest);
  if (refused !== undefined) return refused;
  const stub = fetchStub(registry.objects, `${pull.repository}@${digest}`);
  const question = { ...questionOf(pull), digest, takesFiles, ...(range === undefined ? {} : { range }) };
  const { answer, body } = await openBlob(stub, question);
  if (!answer.ok) return answer;
  countPull(pull.cached.upstream.id, "miss");
  if (answer.how === "linked") {
    const { location } = answer;
    if (location !== undefined) registry.cache.setBlob(pull.repository, location);
    return { ok: true, blob: location ?? "linked" };
  }
  if (body === null) throw new TypeError("a blob without bytes");
  return { ok: true, blob: { ...answer, body } };
}

/** The size of a blob that the ledger does not have. Errors as of {@link openUpstreamBlob}. */
export async function statUpstreamBlob(
  registry: Registry,
  pull: CachedPull,
  digest: Digest,
): Promise<Result<{ sizeBytes: number }>> {
  const refused = refusalOf(pull, digest);
  if (refused !== undefined) return refused;
  const stub = fetchStub(registry.objects, `${pull.repository}@${digest}`);
  return stub.statBlob({ ...questionOf(pull), digest });
}

function refusalOf({ cached, mayAsk }: CachedPull, digest: Digest) {
  if (!isAllowed(cached) || cached.upstream.isOffline) return failure("BLOB_UNKNOWN", { digest });
  return mayAsk() ? undefined : failure("TOOMANYREQUESTS");
}
