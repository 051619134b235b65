/** What pages about a repository show. It is computed on request, so that pushes pay nothing for it. */
import { type ListedContent, readManifestContent } from "../../oci/manifest-content.ts";
import type { ContentKind } from "../../oci/manifest-summary.ts";
import { kindOfMediaType } from "../../oci/media-type.ts";
import { type Digest, hexOf, parseDigest, type Tag } from "../../oci/reference.ts";
import { sortByVersion } from "../../oci/tag-version.ts";
import type { ManifestStat, Page } from "../../rpc/api.ts";
import type {
  CountedTag,
  ManifestView,
  NamedMove,
  ReferrerCounts,
  ReferrerView,
  TagsWanted,
} from "../../rpc/ledger-views.ts";
import type { ManifestDetails } from "../../rpc/manifest-facts.ts";
import { readRows, takeBytes } from "../sql.ts";
import { findListed, findManifest, findTag } from "./listing.ts";
import type { Manifests } from "./manifests.ts";
import { madeByCosign } from "./totals.ts";

// ── Tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Larger repositories list their tags by name, as sorting them by version would keep the ledger busy. */
const maxSorted = 20_000;

const orders = {
  name: "tags.tag",
  pushed: "tags.moved_at DESC, tags.tag",
  used: "max(coalesce(tags.used_day, 0), coalesce(manifests.used_day, 0)) DESC, tags.tag",
  size: `coalesce(content_size, 0) + (SELECT total(listed.content_size) FROM manifest_references
    JOIN manifests AS listed ON listed.digest = manifest_references.digest
    WHERE manifest_references.manifest = manifests.digest) DESC, tags.tag`,
} as const;

/** A page of tags with what refers to their manifests. Tags that cosign made for its own manifests are left out. */
export function findTags(
  sql: SqlStorage,
  { query, order, offset, limit }: TagsWanted,
): { entries: CountedTag[]; next: number | undefined } {
  const found = sortedTags(sql, query, order, offset, limit);
  const entries = found.slice(0, limit).flatMap((tag) => {
    const entry = findTag(sql, tag);
    return entry === undefined ? [] : [{ ...entry, referrers: countReferrers(sql, entry.digest) }];
  });
  const page = takeBytes(entries, (entry) => JSON.stringify(entry).length);
  const hasMore = found.length > limit || page.length < entries.length;
  return { entries: page, next: hasMore ? offset + page.length : undefined };
}

/** The tags of a page, and the one after it. */
function sortedTags(
  sql: SqlStorage,
  query: string,
  order: TagsWanted["order"],
  offset: number,
  limit: number,
): Tag[] {
  const matching = `FROM tags JOIN manifests ON manifests.digest = tags.digest
    WHERE (?1 = '' OR instr(lower(tags.tag), ?1) > 0) AND tags.tag NOT GLOB '${madeByCosign}'` as const;
  const wanted = query.toLowerCase();
  if (order === "version") {
    const all = readRows<{ tag: Tag }>(sql, `SELECT tags.tag ${matching} LIMIT ?2`, wanted, maxSorted + 1);
    if (all.length <= maxSorted) {
      return sortByVersion(all.map(({ tag }) => tag)).slice(offset, offset + limit + 1);
    }
  }
  const by = orders[order === "version" ? "name" : order];
  const rows = readRows<{ tag: Tag }>(
    sql,
    `SELECT tags.tag ${matching} ORDER BY ${by} LIMIT ?2 OFFSET ?3`,
    wanted,
    limit + 1,
    offset,
  );
  return rows.map(({ tag }) => tag);
}

/** What such tags end with. */
const cosignSuffixes = ["sig", "att", "sbom"];

function countReferrers(sql: SqlStorage, digest: Digest): ReferrerCounts {
  const rows = readRows<{ kind: ContentKind | null; count: number }>(
    sql,
    `SELECT kind, count(*) AS count FROM manifests WHERE digest IN (
       SELECT digest FROM manifests WHERE subject = ?1
       UNION SELECT manifest_references.digest FROM manifest_references WHERE manifest = ?1
       UNION SELECT digest FROM tags WHERE tag IN (SELECT value FROM json_each(?2)))
     AND kind IN ('signature', 'sbom', 'provenance', 'attestation', 'artifact') GROUP BY kind`,
    digest,
    JSON.stringify(cosignTags(digest)),
  );
  return Object.fromEntries(rows.map(({ kind, count }) => [kind, count]));
}

function cosignTags(digest: Digest): string[] {
  return cosignSuffixes.map((suffix) => `sha256-${hexOf(digest)}.${suffix}`);
}

// ── A manifest ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The largest manifest that a page shows as text, in bytes. */
const maxTextBytes = 256 * 1024;

/** How many referrers of one manifest are shown, how many in all, and how deep, as a signature may be signed itself. */
const maxReferrers = 100;
const maxReferrersInAll = 200;
const maxDepth = 3;

/** How many indexes are looked at for attestations about a manifest that they list. */
const maxIndexes = 20;

/**
 * How many bytes of other manifests are read for one view. Who may push determines how large these are, and how many.
 */
const maxBytesRead = 4 * 1024 * 1024;

/** A manifest as a page shows it; `undefined` if the repository does not have it. */
export function viewManifest(
  sql: SqlStorage,
  manifests: Manifests,
  digest: Digest,
): ManifestView | undefined {
  const manifest = findManifest(sql, digest);
  return manifest && new Viewing(sql, manifests).view(manifest);
}

type Found = { digest: Digest; by: ReferrerView["by"]; tag: Tag | null };

/** The making of one view, with what it may still read and show. */
class Viewing {
  readonly #sql: SqlStorage;
  readonly #manifests: Manifests;
  /** What the indexes list that were read. */
  readonly #listed = new Map<Digest, ListedContent[]>();
  #bytesLeft = maxBytesRead;
  #referrersLeft = maxReferrersInAll;

  constructor(sql: SqlStorage, manifests: Manifests) {
    this.#sql = sql;
    this.#manifests = manifests;
  }

  view(manifest: ManifestDetails): ManifestView {
    const { digest, sizeBytes } = manifest;
    const bytes = this.#manifests.bytes(digest, sizeBytes);
    const { annotations, layers, manifests } = readManifestContent(bytes);
    const isShown = sizeBytes <= maxTextBytes;
    return {
      manifest,
      annotations,
      layers,
      children: manifests.map((child) => this.#child(child)),
      referrers: this.#withReferrers([...this.#referrersOf(digest), ...this.#attestationsOf(digest)]),
      ...(isShown ? { text: new TextDecoder().decode(bytes) } : {}),
    };
  }

  #child(child: ListedContent): ManifestView["children"][number] {
    const digest = parseDigest(child.digest);
    const stat = digest && this.#manifests.stat(digest);
    if (stat === undefined) return child;
    // All that an index lists is looked at.
    if (kindOfMediaType(stat.mediaType) === "index" && !this.#mayRead(stat)) return child;
    const known = findListed(this.#sql, stat.digest);
    return known === undefined ? child : { ...child, manifest: known };
  }

  /** Whether a manifest may still be read. If so, it counts as read. */
  #mayRead({ sizeBytes }: ManifestStat): boolean {
    if (sizeBytes > this.#bytesLeft) return false;
    this.#bytesLeft -= sizeBytes;
    return true;
  }

  /** What refers to a manifest by its subject or by a tag as cosign makes it. */
  #referrersOf(digest: Digest): Found[] {
    return readRows<Found>(
      this.#sql,
      `SELECT digest, 'subject' AS "by", NULL AS tag FROM manifests WHERE subject = ?1
       UNION ALL SELECT digest, 'tag', tag FROM tags WHERE tag IN (SELECT value FROM json_each(?2)) LIMIT ?3`,
      digest,
      JSON.stringify(cosignTags(digest)),
      maxReferrers,
    );
  }

  /** The attestations that indexes list beside a manifest, and say to be about it. */
  #attestationsOf(digest: Digest): Found[] {
    const indexes = "SELECT manifest FROM manifest_references WHERE digest = ?1 LIMIT ?2";
    const beside = readRows<{ index: Digest; digest: Digest }>(
      this.#sql,
      `SELECT beside.manifest AS "index", beside.digest FROM manifest_references AS beside
       JOIN manifests ON manifests.digest = beside.digest
       WHERE beside.manifest IN (${indexes}) AND beside.digest != ?1 AND manifests.kind IN ('attestation', 'provenance', 'sbom')
       LIMIT ?3`,
      digest,
      maxIndexes,
      maxReferrers,
    );
    const about = beside.filter((each) => this.#isAbout(each.index, each.digest, digest));
    const digests = new Set(about.map((each) => each.digest));
    return Array.from(digests, (attestation) => ({ digest: attestation, by: "index", tag: null }));
  }

  /** Whether an index says that an attestation in it is about a manifest. Source: BuildKit, "Attestation storage". */
  #isAbout(index: Digest, attestation: Digest, subject: Digest): boolean {
    return this.#listedBy(index).some(
      ({ digest, annotations }) =>
        digest === attestation && annotations["vnd.docker.reference.digest"] === subject,
    );
  }

  #listedBy(index: Digest): ListedContent[] {
    const stat = this.#manifests.stat(index);
    const known = this.#listed.get(index);
    if (known !== undefined || stat === undefined || !this.#mayRead(stat)) return known ?? [];
    const { manifests } = readManifestContent(this.#manifests.bytes(index, stat.sizeBytes));
    this.#listed.set(index, manifests);
    return manifests;
  }

  /** Referrers, and then the referrers of each: those that are near are shown before those that are far. */
  #withReferrers(found: Found[], depth = 1): ReferrerView[] {
    const shown = found.slice(0, maxReferrers).flatMap((each) => this.#referrer(each) ?? []);
    if (depth === maxDepth) return shown;
    return shown.map((each) => {
      return { ...each, referrers: this.#withReferrers(this.#referrersOf(each.digest), depth + 1) };
    });
  }

  #referrer({ digest, by, tag }: Found): ReferrerView | undefined {
    const stat = this.#manifests.stat(digest);
    if (stat === undefined || this.#referrersLeft === 0 || !this.#mayRead(stat)) return undefined;
    const entry = findListed(this.#sql, digest);
    if (entry === undefined) return undefined;
    this.#referrersLeft--;
    const { annotations, layers } = readManifestContent(this.#manifests.bytes(digest, stat.sizeBytes));
    return { ...entry, by, ...(tag === null ? {} : { tag }), annotations, layers, referrers: [] };
  }
}

// ── History ────────────────────────────────────────────────────────────────────────────────

/** A page of the moves of all tags, newest first. */
export function listMoves(sql: SqlStorage, before: number, limit: number): Page<NamedMove> {
  const query = `SELECT tag, sequence, from_digest AS "from", to_digest AS "to", at AS atMs, actor, reason
    FROM tag_history WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`;
  const moves = readRows<NamedMove>(sql, query, before, limit + 1);
  return { entries: moves.slice(0, limit), more: moves.length > limit };
}
