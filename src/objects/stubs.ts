/**
 * How the objects are reached, by the names that decide which one it is.
 */
import type { Env } from "../env.ts";
import { type Digest, hexOf } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { BlobsApi, CatalogApi, RepositoryApi, UploadApi } from "./api.ts";
import type { WebhookQueueApi, WebhooksApi } from "./webhooks-api.ts";

/** An object could not be reached, or is overloaded. The client should try again. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

type Method = keyof (RepositoryApi & UploadApi & CatalogApi & WebhooksApi & WebhookQueueApi);

/** Calls that must not be repeated blindly: the second would find nothing to do, and say so, or do it once more. */
const oneTimeCalls: ReadonlySet<string> = new Set<Method>([
  "cancel",
  "changeWebhook",
  "deleteAccount",
  "deleteBlob",
  "deleteManifest",
  "deleteRepository",
  "deleteTag",
  "deleteToken",
  "putAccount",
  "putManifest",
  "removeWebhook",
  "replayDeadLetter",
  "restoreManifest",
  "restoreTag",
  "rotateSigningKey",
  "setInfo",
]);

/**
 * A stub whose calls are tried once more where the platform says that this helps, and fail as {@link Unreachable}.
 * A stub that failed is broken for good, so each try takes a new one.
 */
function reliable<T extends object>(connect: () => T): T {
  return new Proxy({} as T, {
    get(_, method) {
      return async (...args: unknown[]) => {
        for (let attempt = 1; ; attempt++) {
          try {
            return await call(connect(), method, args);
          } catch (error) {
            const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
            const isRepeatable =
              retryable === true && overloaded !== true && !oneTimeCalls.has(String(method));
            if (attempt === 2 || !isRepeatable || method === "fetch") {
              throw new Unreachable(`${String(method)}: ${String(error)}`, { cause: error });
            }
          }
        }
      };
    },
  });
}

/**
 * Calls a method of a stub; what comes back is plain data. The call is disposed of, as one that failed would keep both
 * objects in memory until it is collected as garbage.
 */
async function call(stub: object, method: string | symbol, args: unknown[]): Promise<unknown> {
  const remote = Reflect.get(stub, method) as (...args: unknown[]) => Promise<unknown> & Partial<Disposable>;
  const pending = Reflect.apply(remote, stub, args);
  try {
    return await pending;
  } finally {
    pending[Symbol.dispose]?.();
  }
}

/** The ledger of a repository. */
export function repositoryStub(env: Env, name: RepositoryName): RepositoryApi {
  return reliable(() => env.REPOSITORY.getByName(name) as unknown as RepositoryApi);
}

/** The shard of a digest, by its first byte. */
export function shardStub(env: Env, digest: Digest): BlobsApi {
  return namedShardStub(env, hexOf(digest).slice(0, 2));
}

/** The names of all shards: the first byte of the digests that each decides about. */
export const shardNames = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The shard of the digests that begin with this byte, in hexadecimal. */
export function namedShardStub(env: Env, name: string): BlobsApi {
  return reliable(() => env.BLOB_SHARDS.getByName(name) as unknown as BlobsApi);
}

/** The upload session with this id. */
export function uploadStub(env: Env, id: string): UploadApi {
  return reliable(() => env.UPLOAD.getByName(id) as unknown as UploadApi);
}

/** The one catalog. */
export function catalogStub(env: Env): CatalogApi {
  return reliable(() => env.CATALOG.getByName("catalog") as unknown as CatalogApi);
}

/** What knows who listens. */
export function webhooksStub(env: Env): WebhooksApi {
  return reliable(() => env.WEBHOOKS.getByName("webhooks") as unknown as WebhooksApi);
}

/** The queue of a webhook. */
export function webhookQueueStub(env: Env, id: string): WebhookQueueApi {
  return reliable(() => env.WEBHOOK_QUEUES.getByName(id) as unknown as WebhookQueueApi);
}
