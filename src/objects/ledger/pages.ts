/** What a ledger answers to pages about its repository, and its announcement to the object that finds repositories. */
import { failure, type Result } from "../../oci/errors.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { LedgerApi, Page } from "../../rpc/api.ts";
import type {
  LedgerViews,
  ManifestView,
  NamedMove,
  RepositoryOverview,
  TagsWanted,
} from "../../rpc/ledger-views.ts";
import type { ManifestDetails, ManifestEntry, TagEntry } from "../../rpc/manifest-facts.ts";
import { findManifest, findTag, listManifests, listTags, listUntagged } from "./listing.ts";
import { LedgerObject } from "./object.ts";
import { readReadme } from "./readme.ts";
import { KeptTotals } from "./totals.ts";
import { findTags, listMoves, viewManifest } from "./views.ts";

/** The lists of manifests and tags. */
type Lists = Pick<LedgerApi, "listManifests" | "describeManifest" | "describeTags" | "describeTag">;

/** A ledger as pages see it; see {@link LedgerViews} and {@link LedgerApi} for what each method does. */
export abstract class LedgerPages extends LedgerObject implements LedgerViews, Lists {
  readonly #totals = new KeptTotals();

  async summary(): Promise<RepositoryOverview | undefined> {
    if (!this.exists) return undefined;
    const { changes, clock } = this.parts;
    const { summary } = await this.#totals.of(this.sql, changes.value, clock.now());
    return { ...summary, readme: readReadme(this.sql) };
  }

  async findTags(wanted: TagsWanted): ReturnType<LedgerViews["findTags"]> {
    return this.exists ? { ok: true, ...findTags(this.sql, wanted) } : failure("NAME_UNKNOWN");
  }

  async view(digest: Digest): Promise<Result<{ view: ManifestView }>> {
    const view = this.exists ? viewManifest(this.sql, this.parts.manifests, digest) : undefined;
    return view === undefined ? failure("MANIFEST_UNKNOWN", { digest }) : { ok: true, view };
  }

  async history(before: number, limit: number): Promise<Result<{ page: Page<NamedMove> }>> {
    return this.exists ? { ok: true, page: listMoves(this.sql, before, limit) } : failure("NAME_UNKNOWN");
  }

  async untagged(last: string, limit: number): Promise<Result<{ page: Page<ManifestEntry> }>> {
    return this.exists ? { ok: true, page: listUntagged(this.sql, last, limit) } : failure("NAME_UNKNOWN");
  }

  async listManifests(last: string, limit: number): Promise<Result<{ page: Page<ManifestEntry> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: listManifests(this.sql, last, limit) };
  }

  async describeManifest(digest: Digest): Promise<Result<{ manifest: ManifestDetails }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const manifest = findManifest(this.sql, digest);
    return manifest === undefined ? failure("MANIFEST_UNKNOWN", { digest }) : { ok: true, manifest };
  }

  async describeTags(last: string, limit: number): Promise<Result<{ page: Page<TagEntry> }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return { ok: true, page: listTags(this.sql, last, limit) };
  }

  async describeTag(tag: Tag): Promise<Result<{ tag: TagEntry }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const found = findTag(this.sql, tag);
    return found === undefined ? failure("MANIFEST_UNKNOWN", { tag }) : { ok: true, tag: found };
  }

  async announceAll(): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => this.parts.search.wholly(tx));
  }
}
