/**
 * What a ledger keeps of a cached repository besides its content: that it is one, and when its tags were last compared
 * with those of the upstream.
 */
import type { Origin } from "../../oci/event.ts";
import { describeReferences } from "../../oci/manifest.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type {
  BlobState,
  CacheState,
  CacheUsage,
  Evicted,
  FetchedManifest,
  TagState,
  UpstreamTrouble,
} from "../../rpc/cache-api.ts";
import { day, minute } from "../../units.ts";
import { firstRow, oneRow, readRows, type Tx } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { DeletedManifests } from "./deleted-manifests.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Manifests } from "./manifests.ts";
import type { RepositoryRecord } from "./repository.ts";
import type { Tags } from "./tags.ts";

/** How long the same trouble with an upstream causes no second event. */
const troubleQuietMs = 10 * minute;

/** How many manifests one transaction evicts at most. */
const evictedAtOnce = 100;

/** SQL for the day on which a manifest was last used; for one that never was, on which it came. */
function lastUse(table: "old" | "listed" | "manifests") {
  return `max(coalesce(${table}.used_day, 0), ${table}.pushed_at / ${day})` as const;
}

type Features = {
  repository: RepositoryRecord;
  manifests: Manifests;
  tags: Tags;
  blobs: Blobs;
  events: EventLog;
  deleted: DeletedManifests;
};

/** The state of the cached content. */
export class CachedContent implements Feature {
  readonly tables = { cached_tags: { key: ["tag"], comesBack: "never" } } as const;

  readonly steps = {
    12: `
  -- When the upstream was last asked about a tag.
  CREATE TABLE cached_tags (tag TEXT PRIMARY KEY, checked_at INTEGER NOT NULL) WITHOUT ROWID;
  ALTER TABLE generations ADD COLUMN kind TEXT;
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  readonly #features: Features;
  /** When each kind of trouble last caused an event. */
  readonly #troubles = new Map<UpstreamTrouble, number>();

  constructor(host: LedgerHost, features: Features) {
    this.#host = host;
    this.#features = features;
  }

  /** The state of the repository; a deleted one is none. */
  state(): CacheState {
    const { meta } = this.#features.repository;
    const exists = meta?.isFounded === true;
    return { isOrdinary: exists && meta.kind !== "cache", born: exists ? meta.born : 0 };
  }

  tagState(tag: Tag): TagState {
    const { tags } = this.#features;
    const state = this.state();
    // Without a repository, there may be no tables.
    if (state.born === 0) return { ...state, sequence: 0 };
    const found = tags.resolve([tag]).get(tag);
    const sequence = tags.lastSequence(tag);
    if (found === undefined) return { ...state, sequence };
    const { digest, mediaType, sizeBytes } = found;
    const query = "SELECT checked_at AS at FROM cached_tags WHERE tag = ?";
    const checkedAtMs = firstRow<{ at: number }>(this.#host.sql, query, tag)?.at ?? 0;
    return { ...state, sequence, known: { digest, mediaType, sizeBytes, checkedAtMs } };
  }

  blobState(digest: Digest): BlobState {
    const state = this.state();
    if (state.born === 0) return { ...state, isLinked: false };
    const described = this.#describedBytes(digest);
    return {
      ...state,
      isLinked: this.#features.blobs.read(digest) !== undefined,
      ...(described === undefined ? {} : { describedBytes: described }),
    };
  }

  /** The size of a blob by a manifest that references it. */
  #describedBytes(digest: Digest): number | undefined {
    const { blobs, manifests } = this.#features;
    const [naming] = blobs.manifestsNaming(digest);
    const stat = naming === undefined ? undefined : manifests.stat(naming);
    if (naming === undefined || stat === undefined) return undefined;
    const described = describeReferences(manifests.bytes(naming, stat.sizeBytes), stat.mediaType);
    const size = described.find((each) => each.digest === digest)?.size;
    return size !== undefined && Number.isSafeInteger(size) && size >= 0 ? size : undefined;
  }

  /** Whether the repository, and the tag if one is named, are what they were before a question. */
  isUnchanged({
    born,
    tag,
    sequence,
  }: FetchedManifest["since"] | { born?: number; tag: Tag; sequence: number }): boolean {
    const state = this.state();
    if (state.isOrdinary) return false;
    if (born !== undefined && born !== state.born) return false;
    return tag === undefined || this.tagState(tag).sequence === sequence;
  }

  /** Makes a new repository a cached one; to be called in the transaction that creates it. `born`: 0 if it is new. */
  claim(tx: Tx, born: number): void {
    if (born === 0) this.#features.repository.write(tx, "cache-born", String(this.#host.clock.now()));
  }

  /** Stores a manifest, and points its tag at it. */
  store(tx: Tx, { repository, digest, bytes, facts, origin, since }: FetchedManifest): void {
    const tags = since.tag === undefined ? [] : [since.tag];
    this.claim(tx, since.born);
    const put = { repository, digest, bytes, facts, tags, origin, sparse: true, isFetched: true } as const;
    this.#features.manifests.store(tx, put);
    for (const tag of tags) this.noteChecked(tx, tag, this.#host.clock.now());
  }

  noteChecked(tx: Tx, tag: Tag, checkedAtMs: number): void {
    tx.write("INSERT OR REPLACE INTO cached_tags (tag, checked_at) VALUES (?, ?)", tag, checkedAtMs);
  }

  /** Removes manifests that were not used since a day, and makes what only they reference due to be unlinked. */
  evict(tx: Tx, beforeDay: number, origin: Origin): Evicted {
    const { blobs, deleted, events } = this.#features;
    const unused = `SELECT digest, size FROM manifests AS old WHERE ${lastUse("old")} < ?1 AND NOT EXISTS (
        SELECT 1 FROM manifest_references JOIN manifests AS listed ON listed.digest = manifest_references.digest
        WHERE manifest_references.manifest = old.digest AND ${lastUse("listed")} >= ?1
      ) LIMIT ?2` as const;
    const found = readRows<{ digest: Digest; size: number }>(tx.sql, unused, beforeDay, evictedAtOnce);
    const evicted = { manifests: found.length, blobs: 0, bytes: 0, more: found.length === evictedAtOnce };
    for (const { digest, size } of found) {
      const query = "SELECT digest FROM manifest_references WHERE manifest = ?";
      const referenced = readRows<{ digest: Digest }>(tx.sql, query, digest).map((row) => row.digest);
      deleted.removeForGood(tx, digest, origin, "evicted");
      events.record(tx, "upstream.evict", origin, { digest });
      evicted.bytes += size;
      const unnamed = blobs.held(referenced).filter((each) => !blobs.isNamed(each));
      // Nobody pushes to a cache, so nobody relies on the grace.
      blobs.endGrace(tx, unnamed);
      evicted.blobs += unnamed.length;
      for (const blob of unnamed) evicted.bytes += blobs.read(blob)?.sizeBytes ?? 0;
    }
    return evicted;
  }

  /** How much the repository holds, and since when some of it was not used. */
  usage(): CacheUsage {
    const query =
      `SELECT (SELECT coalesce(sum(size), 0) FROM blobs) + (SELECT coalesce(sum(size), 0) FROM manifests) AS bytes,
      (SELECT min(${lastUse("manifests")}) FROM manifests) AS oldestDay` as const;
    return oneRow<CacheUsage>(this.#host.sql, query);
  }

  /** Records an event about trouble with the upstream, unless one was recorded a moment ago. */
  noteTrouble(tx: Tx, type: UpstreamTrouble, tag: Tag | undefined, origin: Origin): void {
    const now = this.#host.clock.now();
    if (now < (this.#troubles.get(type) ?? 0) + troubleQuietMs) return;
    this.#troubles.set(type, now);
    this.#features.events.record(tx, type, origin, tag === undefined ? {} : { tag });
  }
}
