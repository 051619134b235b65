/** The transactions of a ledger for caching; see {@link CacheLedgerApi} for what each does. */
import type { Origin } from "../../oci/event.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type {
  BlobState,
  CacheLedgerApi,
  CacheUsage,
  CacheWrite,
  Evicted,
  FetchedManifest,
  SinceTag,
  TagState,
  UpstreamTrouble,
} from "../../rpc/cache-api.ts";
import type { Tx } from "../sql.ts";
import { isFull } from "./capacity.ts";
import { PolicedLedger } from "./policed-object.ts";

/** A ledger that may be one of a cached repository. */
export abstract class CachedLedger extends PolicedLedger implements CacheLedgerApi {
  async tagStates(tags: Tag[]): Promise<TagState[]> {
    return tags.map((tag) => this.parts.cache.tagState(tag));
  }

  async blobState(digest: Digest): Promise<BlobState> {
    return this.parts.cache.blobState(digest);
  }

  async putFetched(put: FetchedManifest): Promise<CacheWrite> {
    const { cache } = this.parts;
    if (!cache.isUnchanged(put.since)) return "changed";
    if (isFull(this.parts)) return "full";
    return this.changeOrFound<CacheWrite>(put, "unfounded", (tx, found) => {
      found();
      cache.store(tx, put);
      return "done";
    });
  }

  async noteChecked(since: SinceTag, checkedAtMs: number): Promise<CacheWrite> {
    return this.#ifUnchanged(since, (tx) => this.parts.cache.noteChecked(tx, since.tag, checkedAtMs));
  }

  async dropGone(since: SinceTag, origin: Origin): Promise<CacheWrite> {
    return this.#ifUnchanged(since, (tx) => this.parts.tags.removeGone(tx, since.tag, origin));
  }

  async evict(beforeDay: number, origin: Origin): Promise<Evicted> {
    if (!this.exists || this.meta?.kind !== "cache") return { manifests: 0, blobs: 0, bytes: 0, more: false };
    return this.change(undefined, (tx) => this.parts.cache.evict(tx, beforeDay, origin));
  }

  async cacheUsage(): Promise<CacheUsage | undefined> {
    return this.exists && this.meta?.kind === "cache" ? this.parts.cache.usage() : undefined;
  }

  async noteUpstream(type: UpstreamTrouble, tag: Tag | undefined, origin: Origin): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => this.parts.cache.noteTrouble(tx, type, tag, origin));
  }

  #ifUnchanged(since: SinceTag, work: (tx: Tx) => unknown): CacheWrite {
    if (!this.exists || !this.parts.cache.isUnchanged(since)) return "changed";
    this.change(undefined, work);
    return "done";
  }
}
