/** Stubs of the objects, by name. */
import type { Env } from "../bindings.ts";
import { type Machine, maxBlobShards, parseMachine } from "../machine.ts";
import { type Digest, hexOf, type RepositoryName } from "../oci/reference.ts";
import { answerWithin } from "../timeout.ts";
import { type CatalogApi, type LedgerApi, repeatableCatalogCalls, repeatableLedgerCalls } from "./api.ts";
import { type BlobShardApi, repeatableShardCalls } from "./blob-shard-api.ts";
import { type FetchApi, repeatableFetchCalls } from "./fetch-channel.ts";
import { hashName } from "./name-filter.ts";
import { type NameIndexApi, repeatableNameIndexCalls } from "./name-index-api.ts";
import { repeatableSearchCalls, type SearchApi } from "./search-api.ts";
import { repeatableUploadCalls, type UploadApi } from "./upload-channel.ts";
import { repeatableUpstreamCalls, type UpstreamApi } from "./upstream-api.ts";
import {
  repeatableQueueCalls,
  repeatableWebhooksCalls,
  type WebhookQueueApi,
  type WebhooksApi,
} from "./webhooks-api.ts";

/** What is needed to reach any object: the namespaces, and how work is divided between the objects. */
export type ObjectBindings = Pick<
  Env,
  | "LEDGERS"
  | "UPLOADS"
  | "BLOB_SHARDS"
  | "CATALOG"
  | "NAME_INDEX"
  | "SEARCH"
  | "WEBHOOKS"
  | "WEBHOOK_QUEUES"
  | "FETCHES"
  | "UPSTREAM_STATES"
  | "MACHINE"
>;

/** An object could not be reached, or is overloaded. The client should try again. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** An object has data of a later release, which this one cannot read. Trying again does not help. */
export class HasLaterData extends Unreachable {
  override name = "HasLaterData";
}

/**
 * A stub whose calls fail with {@link Unreachable}. Calls in `repeatable` are tried once more if the platform marks the
 * error as retryable. A stub that failed stays broken, so each try takes a new one.
 */
function reliable<T extends object>(repeatable: ReadonlySet<keyof T>, connect: () => T): T {
  return new Proxy({} as T, {
    get(_, method) {
      return async (...args: unknown[]) => {
        for (let attempt = 1; ; attempt++) {
          try {
            return await call(connect(), method, args);
          } catch (error) {
            if (error instanceof HasLaterData) throw error;
            const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
            const helps = retryable === true && overloaded !== true;
            if (attempt === 2 || !helps || !repeatable.has(method as keyof T)) {
              throw new Unreachable(`${String(method)}: ${String(error)}`, { cause: error });
            }
          }
        }
      };
    },
  });
}

/** How long a call may take. Only `fetch`, which streams, takes as long as its client. */
const callMs = 120_000;

/** What an object answers, whatever it is asked, if it has data of a later release; `why` is for the log. */
export type LaterDataAnswer = { hasLaterData: true; why: string };

function isLaterDataAnswer(answer: unknown): answer is LaterDataAnswer {
  return typeof answer === "object" && answer !== null && "hasLaterData" in answer;
}

/**
 * Calls a method of a stub, and disposes of the call. A failed call would otherwise keep both objects in memory until
 * it is garbage collected. Results are plain data.
 */
async function call(stub: object, method: string | symbol, args: unknown[]): Promise<unknown> {
  const remote = Reflect.get(stub, method) as (...args: unknown[]) => Promise<unknown> & Partial<Disposable>;
  const pending = Reflect.apply(remote, stub, args);
  try {
    const answer = await (method === "fetch" ? pending : answerWithin(callMs, pending));
    if (isLaterDataAnswer(answer)) throw new HasLaterData(`${String(method)}: ${answer.why}`);
    return answer;
  } finally {
    pending[Symbol.dispose]?.();
  }
}

/** The ledger of a repository. */
export function repositoryStub(env: ObjectBindings, name: RepositoryName): LedgerApi {
  return reliable(repeatableLedgerCalls, () => env.LEDGERS.getByName(name) as unknown as LedgerApi);
}

/** The bindings that determine how work is divided between objects. */
type Division = Pick<Env, "MACHINE">;

const machines = new WeakMap<Division, Machine>();

/** How work is divided between objects. Read once per isolate. */
function machineOf(env: Division): Machine {
  const known = machines.get(env) ?? parseMachine(env);
  machines.set(env, known);
  return known;
}

function byteName(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** The names of all shards, in order. Each is the lowest first byte of the shard's digests, in hexadecimal. */
export function shardNames(env: Division): string[] {
  const { blobShards } = machineOf(env);
  return Array.from({ length: blobShards }, (_, index) => byteName(index * (maxBlobShards / blobShards)));
}

/** The name of the shard of a digest, by the digest's first byte. */
export function shardOf(env: Division, digest: Digest): string {
  const byte = Number.parseInt(hexOf(digest).slice(0, 2), 16);
  return byteName(byte - (byte % (maxBlobShards / machineOf(env).blobShards)));
}

/** The shard of a digest. */
export function shardStub(env: ObjectBindings, digest: Digest): BlobShardApi {
  return namedShardStub(env, shardOf(env, digest));
}

/** The shard of this name. */
export function namedShardStub(env: ObjectBindings, name: string): BlobShardApi {
  return reliable(repeatableShardCalls, () => env.BLOB_SHARDS.getByName(name) as unknown as BlobShardApi);
}

/** The name of the object that keeps an upload session: the id of the session, or on one machine the name of a pool. */
export function uploadObjectOf(env: Division, session: string): string {
  return pooled(env, session);
}

/** The name itself, or on one machine that of one of a few objects, whose number is that of uploads. */
function pooled(env: Division, name: string): string {
  const { uploadPools } = machineOf(env);
  if (uploadPools === 0) return name;
  const sum = Array.from(name).reduce((total, character) => total + character.charCodeAt(0), 0);
  return `pool-${sum % uploadPools}`;
}

/** The object that fetches one thing from an upstream: a blob or manifest by `<repository>@<digest>`, or a tag. */
export function fetchStub(env: ObjectBindings, subject: string): FetchApi {
  return reliable(
    repeatableFetchCalls,
    () => env.FETCHES.getByName(pooled(env, subject)) as unknown as FetchApi,
  );
}

/** The object that has what all questions to an upstream share. */
export function upstreamStub(env: ObjectBindings, id: string): UpstreamApi {
  return reliable(repeatableUpstreamCalls, () => env.UPSTREAM_STATES.getByName(id) as unknown as UpstreamApi);
}

/** The names of all objects that keep upload sessions; `undefined` where each session has its own. */
export function uploadPools(env: Division): string[] | undefined {
  const { uploadPools: count } = machineOf(env);
  return count === 0 ? undefined : Array.from({ length: count }, (_, index) => `pool-${index}`);
}

/**
 * The object that keeps upload sessions, by a name of {@link uploadPools}; or the one of a single session, by its id.
 */
export function namedUploadStub(env: ObjectBindings, name: string): UploadApi {
  return reliable(repeatableUploadCalls, () => env.UPLOADS.getByName(name) as unknown as UploadApi);
}

/** The object that keeps the upload session with this id. */
export function uploadStub(env: ObjectBindings, session: string): UploadApi {
  return namedUploadStub(env, uploadObjectOf(env, session));
}

/** The names of the shards that may have data, in order. */
export async function listShards(env: ObjectBindings): Promise<string[]> {
  const listed = new Set(await catalogStub(env).shards());
  return shardNames(env).filter((name) => listed.has(name));
}

/** How many parts the index of names has. */
export function nameIndexParts(env: Division): number {
  return machineOf(env).nameIndexes;
}

/** The part of the index that has a name, by the name's hash. */
export function nameIndexPartOf(env: Division, name: RepositoryName): number {
  return hashName(name) % nameIndexParts(env);
}

/** The part of the index of names with this number. */
export function numberedNameIndexStub(env: ObjectBindings, part: number): NameIndexApi {
  return reliable(
    repeatableNameIndexCalls,
    () => env.NAME_INDEX.getByName(String(part)) as unknown as NameIndexApi,
  );
}

/** The part of the index that has a name. */
export function nameIndexStub(env: ObjectBindings, name: RepositoryName): NameIndexApi {
  return numberedNameIndexStub(env, nameIndexPartOf(env, name));
}

/** The catalog. */
export function catalogStub(env: ObjectBindings): CatalogApi {
  return reliable(repeatableCatalogCalls, () => env.CATALOG.getByName("catalog") as unknown as CatalogApi);
}

/** The object that finds repositories; `undefined` if none is bound. */
export function searchStub({ SEARCH }: Pick<Env, "SEARCH">): SearchApi | undefined {
  if (SEARCH === undefined) return undefined;
  return reliable(repeatableSearchCalls, () => SEARCH.getByName("search") as unknown as SearchApi);
}

/** The object that has the webhooks. */
export function webhooksStub(env: ObjectBindings): WebhooksApi {
  return reliable(
    repeatableWebhooksCalls,
    () => env.WEBHOOKS.getByName("webhooks") as unknown as WebhooksApi,
  );
}

/** The queue of a webhook. */
export function webhookQueueStub(env: ObjectBindings, id: string): WebhookQueueApi {
  return reliable(repeatableQueueCalls, () => env.WEBHOOK_QUEUES.getByName(id) as unknown as WebhookQueueApi);
}
