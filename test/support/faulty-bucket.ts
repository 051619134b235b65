/** The bucket as it is, R2 or disk, KV and the objects, until they are told to fail, or to wait. */
import { wholePath } from "../../src/storage/disk-files.ts";
import { type Moment, waitIfHeld } from "./held-calls.ts";

/**
 * What can fail: a method of the bucket or of a multipart upload, `replica.` and one of KV, and one of an object after
 * the name that {@link objectPrefixes} has for its class; before it did its work, or after.
 */
export type Fault = { operation: string; when: Moment; times: number };

const faults: Fault[] = [];

export function addFault(fault: Fault): void {
  faults.push(fault);
}

const unreadable = new Set<string>();

/** Makes every read of what is under a key fail, as a bad sector does; or lets it be read again. `*`: every key. */
export function setUnreadable(key: string, isUnreadable: boolean): void {
  if (isUnreadable) unreadable.add(key);
  else unreadable.delete(key);
}

/** Fails a read of a key, or of a file that has its bytes, that is not to be read. */
function failIfUnreadable(operation: string, path: unknown): void {
  if (!/^(head|get)$/i.test(operation) || typeof path !== "string") return;
  const isOf = (key: string) => path === key || path === `/${wholePath(key)}` || path.startsWith(`/${key}/`);
  const isHit = [...unreadable].some((key) => key === "*" || isOf(key));
  if (isHit) throw new Error(`${operation}: input/output error`);
}

function takeFault(operation: string, when: Fault["when"]): boolean {
  const fault = faults.find((each) => each.operation === operation && each.when === when && each.times > 0);
  if (fault === undefined) return false;
  fault.times--;
  return true;
}

type Method = (...args: unknown[]) => unknown;

/** What a call comes to. It is disposed of, as src/rpc/stubs.ts does, which sees only what wraps it. */
async function settled(pending: unknown): Promise<unknown> {
  try {
    return await pending;
  } finally {
    (pending as Partial<Disposable>)[Symbol.dispose]?.();
  }
}

/** Wraps a bucket, an upload of it, or something else. Its methods fail as {@link addFault} says, and can be held. */
function faulty<T extends object>(target: T, prefix = ""): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      // Those of a stub would take `bind` for a method of the object.
      const method: Method = (...args) => Reflect.apply(value, target, args);
      const operation = prefix + String(name);
      if (operation === "resumeMultipartUpload")
        return (...args: unknown[]) => faulty(method(...args) as object);
      return async (...args: unknown[]) => {
        await waitIfHeld(operation, "before");
        if (takeFault(operation, "before")) throw new Error(`${operation}: internal error (10001)`);
        failIfUnreadable(operation, args[0]);
        const result = await settled(method(...args));
        await waitIfHeld(operation, "after");
        if (takeFault(operation, "after")) throw new Error(`${operation}: connection lost`);
        return result;
      };
    },
  });
}

/** What a request to the disk service does, in R2's words. */
function operationOn(method: string, path: string): string {
  if (path.endsWith("/index")) return method === "PUT" ? "complete" : method === "HEAD" ? "abort" : "get";
  if (method === "PUT") return path.endsWith("/whole") ? "put" : "uploadPart";
  return method.toLowerCase();
}

/** Wraps a service. Its requests fail as {@link addFault} says, and can be held. */
function faultyService(service: Fetcher, operationOf: typeof operationOn): Fetcher {
  const fetch = async (url: string, init: RequestInit = {}) => {
    const { pathname } = new URL(url);
    const operation = operationOf(init.method ?? "GET", pathname);
    await waitIfHeld(operation, "before");
    failIfUnreadable(init.method ?? "GET", pathname);
    if (takeFault(operation, "before")) throw new Error(`${operation}: internal error`);
    const response = await service.fetch(url, init);
    await waitIfHeld(operation, "after");
    if (!takeFault(operation, "after")) return response;
    await response.body?.cancel();
    throw new Error(`${operation}: connection lost`);
  };
  return { fetch } as unknown as Fetcher;
}

const wrapped = new WeakMap<object, object>();

/** What the objects of each class are called in the names of their calls. */
const objectPrefixes = {
  LEDGERS: "repository.",
  UPLOADS: "session.",
  BLOB_SHARDS: "shard.",
  CATALOG: "catalog.",
  NAME_INDEX: "names.",
  WEBHOOKS: "webhooks.",
  WEBHOOK_QUEUES: "queue.",
};

type Namespaces = Record<keyof typeof objectPrefixes, DurableObjectNamespace>;

type Buckets = Namespaces & {
  BLOBS: R2Bucket;
  MANIFESTS?: KVNamespace;
  BLOB_FILES?: Fetcher;
  BLOB_FSYNC?: Fetcher;
};

/** The bindings, which can fail; the same ones each time. */
export function withFaults<E extends Buckets>(env: E): E {
  const known = wrapped.get(env) ?? wrap(env);
  wrapped.set(env, known);
  return known as E;
}

function wrap(env: Buckets): Buckets {
  const { BLOBS, MANIFESTS, BLOB_FILES, BLOB_FSYNC } = env;
  const services =
    BLOB_FILES === undefined || BLOB_FSYNC === undefined
      ? {}
      : {
          BLOB_FILES: faultyService(BLOB_FILES, operationOn),
          BLOB_FSYNC: faultyService(BLOB_FSYNC, () => "commit"),
        };
  return {
    ...env,
    ...faultyObjects(env),
    BLOBS: faulty(BLOBS),
    ...(MANIFESTS && { MANIFESTS: faulty(MANIFESTS, "replica.") }),
    ...services,
  };
}

function faultyObjects(env: Namespaces): Namespaces {
  const wrappedOnes = Object.entries(objectPrefixes).map(([binding, prefix]) => {
    const namespace = env[binding as keyof Namespaces];
    return [binding, { getByName: (name: string) => faulty(namespace.getByName(name), prefix) }];
  });
  return Object.fromEntries(wrappedOnes) as Namespaces;
}
