/** A blob as a whole to a repository: mounted if it can be, else in chunks. */
import type { Digest, RepositoryName } from "../oci/reference.ts";
import { RegistryError } from "./errors.ts";
import { discard } from "./exchange.ts";
import { refusalOf } from "./refusals.ts";
import type { RemoteRepository } from "./repository.ts";
import type { RetryPolicy } from "./retry.ts";

/** How much of a blob is sent in one request by default: servers in front of a registry limit the size. */
export const defaultChunkBytes = 32 * 1024 * 1024;

/**
 * The bytes of a blob. `read` fills a buffer with those from an offset on, as far as there are any, and tells how many
 * they are; it is called for one piece after the other. `close` is called at the end, whatever came of it.
 */
export type BlobSource = {
  size: number;
  read(buffer: Uint8Array, offset: number): Promise<number>;
  close?(): Promise<void>;
};

/** Options of pushing a blob. `onBytes`: receives the number of bytes that the registry has acknowledged. */
export type PushBlobOptions = {
  /** A repository of the same registry that may have it. */
  from?: RepositoryName | undefined;
  chunkBytes?: number | undefined;
  retries?: RetryPolicy | undefined;
  signal?: AbortSignal | undefined;
  onBytes?: ((count: number) => void) | undefined;
};

/** The outcome: the blob was sent, or did not have to be. */
export type PushedBlob = "sent" | "mounted";

/**
 * Sends a blob. Two chunks are held in memory: one that is sent, and the next one, which is read meanwhile.
 *
 * @throws RegistryError
 */
export async function pushBlob(
  repository: RemoteRepository,
  digest: Digest,
  open: () => Promise<BlobSource>,
  options: PushBlobOptions = {},
): Promise<PushedBlob> {
  const { from, retries, signal, onBytes, chunkBytes = defaultChunkBytes } = options;
  const started = await repository.startUpload(digest, { from, retries, signal });
  if (started === undefined) return "mounted";
  const { session, minChunkBytes } = started;
  let source: BlobSource | undefined;
  try {
    source = await open();
    const size = Math.min(source.size, Math.max(chunkBytes, minChunkBytes));
    const isWhole = source.size <= size;
    let [buffer, spare] = [new Uint8Array(size), new Uint8Array(isWhole ? 0 : size)];
    let chunk = await readChunk(digest, source, buffer, 0);
    let offset = 0;
    while (offset + chunk.byteLength < source.size) {
      const next = offset + chunk.byteLength;
      const [refusal, following] = await bothOf(session.send(chunk), readChunk(digest, source, spare, next));
      if (refusal !== undefined) throw await refusedChunk(repository, digest, refusal);
      onBytes?.(chunk.byteLength);
      [buffer, spare] = [spare, buffer];
      chunk = following;
      offset = next;
    }
    const response = await session.finish(digest, chunk);
    const isThere =
      response.status === 201 ||
      (response.status === 404 && session.mayBeFinished && (await repository.statBlob(digest)) !== undefined);
    if (!isThere) throw (await refusalOf("PUT", repository.registry, response)).about(`blob ${digest}`);
    await discard(response);
    onBytes?.(chunk.byteLength);
    return "sent";
  } catch (error) {
    await session.cancel();
    throw error;
  } finally {
    await source?.close?.();
  }
}

/** Waits for both, also where one fails: its buffer is in use until then. */
async function bothOf<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([one, other]);
  if (first.status === "rejected") throw first.reason;
  if (second.status === "rejected") throw second.reason;
  return [first.value, second.value];
}

async function readChunk(
  digest: Digest,
  source: BlobSource,
  buffer: Uint8Array,
  offset: number,
): Promise<Uint8Array> {
  const wanted = buffer.subarray(0, Math.min(buffer.byteLength, source.size - offset));
  const count = await source.read(wanted, offset);
  if (count === wanted.byteLength) return wanted;
  throw new RegistryError(
    "broken",
    `blob ${digest}: its bytes end after ${offset + count} of ${source.size}`,
  );
}

/** Explains the error of a registry that does not accept chunks. */
async function refusedChunk(
  { registry }: RemoteRepository,
  digest: Digest,
  response: Response,
): Promise<RegistryError> {
  const refusal = await refusalOf("PATCH", registry, response);
  const why = isRefusalOfChunks(response.status) ? `: ${registry.host} does not take uploads in chunks` : "";
  return refusal.about(`blob ${digest}${why}`);
}

/** Whether an answer to a chunk is about its being one. */
export function isRefusalOfChunks(status: number): boolean {
  return status === 405 || status === 411 || status === 416 || status === 501;
}
