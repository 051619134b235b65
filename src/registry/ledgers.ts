/**
 * Ledgers as the Worker asks them. A question to a ledger creates its object, even if nobody ever pushed to its name.
 * So the index of names is asked first, and a name that it does not have gets the answers of a ledger without a
 * repository.
 *
 * An isolate remembers only that a name is registered: a push at another location may register it at any moment.
 */
import { failure } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { LedgerApi } from "../rpc/api.ts";
import type { CacheLedgerApi } from "../rpc/cache-api.ts";
import { emptyReport } from "../rpc/scrub-report.ts";
import {
  nameIndexParts,
  nameIndexStub,
  numberedNameIndexStub,
  type ObjectBindings,
  repositoryStub,
} from "../rpc/stubs.ts";
import { nothingFreed } from "../rpc/tally.ts";
import { minute } from "../units.ts";
import type { ExpiringLru } from "./caches.ts";

/**
 * What may be asked of a ledger that may not exist. The other calls come from pushes, from other objects, and after the
 * answer to a pull.
 */
export type AskedLedger = Omit<
  LedgerApi,
  | "linkBlob"
  | "putManifest"
  | "holds"
  | "sessionState"
  | "cancelSession"
  | "dropOrphanedRows"
  | "recordUses"
  | "keepsBlob"
  | Exclude<keyof CacheLedgerApi, "tagStates" | "evict">
>;

const unknown = async () => failure("NAME_UNKNOWN");

/** The answers of a ledger without a repository. */
const noLedger: AskedLedger = {
  locateBlob: async () => undefined,
  relocateBlob: async () => {},
  repairReplica: async () => {},
  deleteBlob: unknown,
  manifest: async () => undefined,
  statManifest: async () => undefined,
  resolveTags: async (tags) => tags.map(() => null),
  tagStates: async (tags) => tags.map(() => ({ isOrdinary: false, born: 0, sequence: 0 })),
  evict: async () => ({ manifests: 0, blobs: 0, bytes: 0, more: false }),
  deleteManifest: unknown,
  deleteTag: unknown,
  listTags: unknown,
  info: async () => undefined,
  setInfo: async () => undefined,
  deleteRepository: unknown,
  tagHistory: unknown,
  restoreTag: unknown,
  restoreManifest: unknown,
  restoreRepository: async () => failure("DELETION_UNKNOWN"),
  overrideTag: unknown,
  adoptPolicy: async () => {},
  tryPolicy: unknown,
  explainPolicy: unknown,
  confirmRun: unknown,
  holdTag: unknown,
  releaseTag: unknown,
  deletions: async () => ({ entries: [], last: undefined }),
  listManifests: unknown,
  describeManifest: unknown,
  describeTags: unknown,
  describeTag: unknown,
  addConfigFacts: async () => {},
  usage: async () => undefined,
  summary: async () => undefined,
  findTags: unknown,
  announceAll: async () => {},
  view: unknown,
  history: unknown,
  untagged: unknown,
  rebuildReplica: async () => {},
  listReferrers: async () => ({ entries: [], more: false }),
  collect: async () => ({ freed: nothingFreed(), more: false, keptUntilMs: 0 }),
  scrub: async () => ({ report: emptyReport(), next: undefined }),
};

/** How long an isolate remembers that a name is registered, in milliseconds. */
export const registeredMs = 10 * minute;

/** Which names an isolate knows to be registered. */
export type RegisteredNames = ExpiringLru<true>;

/** What a look-up of a name needs: the index, and what the isolate remembers of it. */
export type NameLookup = { objects: ObjectBindings; registered: RegisteredNames };

/** Whether a name is registered; `undefined`: the index does not know yet. */
async function isRegistered(
  { objects, registered }: NameLookup,
  name: RepositoryName,
): Promise<boolean | undefined> {
  if (registered.has(name)) return true;
  const has = await nameIndexStub(objects, name).has(name);
  if (has === true) registered.set(name, true, registeredMs);
  return has;
}

/**
 * Whether a name may have a ledger: it is registered, or the index does not know yet.
 *
 * @throws Unreachable if the index cannot be reached.
 */
async function mayHaveLedger(lookup: NameLookup, name: RepositoryName): Promise<boolean> {
  return (await isRegistered(lookup, name)) !== false;
}

/**
 * Whether a name is certainly registered.
 *
 * @throws Unreachable if the index cannot be reached.
 */
export async function isKnownToBeRegistered(lookup: NameLookup, name: RepositoryName): Promise<boolean> {
  return (await isRegistered(lookup, name)) === true;
}

/** Has every part of the index filled again, by its alarm. Returns how many parts there are. */
export async function rebuildNameIndex(objects: ObjectBindings): Promise<number> {
  const parts = Array.from({ length: nameIndexParts(objects) }, (_, part) => part);
  await Promise.all(parts.map((part) => numberedNameIndexStub(objects, part).rebuild(part)));
  return parts.length;
}

/** The ledger of a name, or the answers of none if the name is not registered. */
export function askedLedger(lookup: NameLookup, name: RepositoryName): AskedLedger {
  return new Proxy(noLedger, {
    get:
      (none, method: keyof AskedLedger) =>
      async (...args: unknown[]) => {
        const isThere = await mayHaveLedger(lookup, name);
        const ledger: AskedLedger = isThere ? repositoryStub(lookup.objects, name) : none;
        return Reflect.apply(ledger[method], ledger, args);
      },
  });
}
