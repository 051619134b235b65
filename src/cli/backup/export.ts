/** From a registry to image layouts: every manifest with all that it references, tagged or not. */
import { join } from "node:path";
import { descriptorsIn } from "../../client/descriptor.ts";
import type { ListedManifest } from "../../contract/manifests.ts";
import type { ListedRepository } from "../../contract/repositories.ts";
import { readStoredManifest } from "../../oci/manifest.ts";
import { type Digest, parseDigest } from "../../oci/reference.ts";
import { unlessUnknown } from "../api.ts";
import { mapAtOnce } from "../at-once.ts";
import { type Attempts, attemptEach, isOfAll } from "../attempts.ts";
import type { Invocation } from "../command.ts";
import { CommandError } from "../errors.ts";
import { retry } from "../retry.ts";
import { directoryOf } from "./directories.ts";
import { makeFolder, removeAbandoned } from "./files.ts";
import { Layout, type LayoutManifest } from "./layout.ts";

/** How much there was to export, and how much of it was fetched. */
type Exported = { manifests: number; blobs: number; fetched: number; bytes: number };

/**
 * The result of an export. `repositories`: those whose layout was written; `deleted`: those that were deleted since they
 * were listed. `missing`: content that manifests name and the repository does not have, as in mirrors. `unread`: content
 * that could not be read.
 */
export type ExportReport = Exported & {
  repositories: number;
  deleted: string[];
  missing: { repository: string; digest: string }[];
  unread: { repository: string; digest: string; reason: string }[];
} & Pick<Attempts, "failed" | "untried">;

type Lacking = Pick<ExportReport, "missing" | "unread">;

/** A blob that manifests name. `size`: as they say; `isRequired`: whether one of them requires it. */
type NamedBlob = { digest: Digest; size: number | undefined; isRequired: boolean };

type Kind = "manifests" | "blobs";

const fetchesAtOnce = 4;

/**
 * Exports one repository after another; one that fails does not hold up the others. Content that is already in the layout
 * is not fetched again.
 */
export async function exportAll(
  call: Invocation,
  directory: string,
  repositories: ListedRepository[],
): Promise<ExportReport> {
  const exported: Exported = { manifests: 0, blobs: 0, fetched: 0, bytes: 0 };
  const lacking: Lacking = { missing: [], unread: [] };
  const sources = new Map<Digest, Layout>();
  const deleted: string[] = [];
  await makeFolder(directory);
  const all = repositories.map((each): [string, ListedRepository] => [each.name, each]);
  const { done, failed, untried } = await attemptEach(all, async (name, repository) => {
    const layout = new Layout(join(directory, directoryOf(name)));
    const isThere = await new RepositoryExport(call, repository, layout, exported, lacking, sources).run();
    if (!isThere) deleted.push(name);
  });
  call.progress.end();
  return { repositories: done.length - deleted.length, deleted, ...exported, ...lacking, failed, untried };
}

/** The export of one repository. */
class RepositoryExport {
  readonly #call: Invocation;
  readonly #repository: ListedRepository;
  readonly #layout: Layout;
  readonly #report: Exported;
  readonly #lacking: Lacking;
  /** A layout of this run that has a digest: repositories share blobs. */
  readonly #sources: Map<Digest, Layout>;
  readonly #missing: ExportReport["missing"] = [];

  constructor(
    call: Invocation,
    repository: ListedRepository,
    layout: Layout,
    report: Exported,
    lacking: Lacking,
    sources: Map<Digest, Layout>,
  ) {
    this.#call = call;
    this.#repository = repository;
    this.#layout = layout;
    this.#report = report;
    this.#lacking = lacking;
    this.#sources = sources;
  }

  /** Exports it; returns false if it was deleted since it was listed. */
  async run(): Promise<boolean> {
    const { name, visibility, description } = this.#repository;
    const { api, now } = this.#call;
    const sent = { params: { name } };
    const listed = await unlessUnknown(
      api.list("/repositories/{name}/manifests", "manifests", { ...sent, query: { n: "1000" } }),
    );
    if (listed === undefined) return false;
    await removeAbandoned(this.#layout.directory, now());
    const manifests = await this.#fetchManifests(listed);
    await this.#fetchBlobs(await this.#blobsOf(manifests));
    const found = await api.find("/repositories/{name}", sent);
    if (found === undefined) return false;
    // Last, so that everything that the index names exists.
    await this.#layout.writeIndex({ manifests, visibility, description, readme: found.readme });
    this.#report.manifests += manifests.length;
    this.#lacking.missing.push(...this.#missing);
    return true;
  }

  /** Those that the layout has in the end. */
  async #fetchManifests(listed: ListedManifest[]): Promise<LayoutManifest[]> {
    const manifests: LayoutManifest[] = [];
    for (const { digest: text, mediaType, size, artifactType, tags } of listed) {
      this.#show(manifests.length, listed.length);
      const digest = parseDigest(text);
      // One that was deleted since it was listed is not missed.
      if (digest === undefined || !(await this.#obtainIfReadable("manifests", digest, size))) continue;
      const type = artifactType === undefined ? {} : { artifactType };
      manifests.push({ digest, mediaType, size, ...type, tags });
    }
    return manifests;
  }

  /** The blobs that manifests name. */
  async #blobsOf(manifests: LayoutManifest[]): Promise<NamedBlob[]> {
    const blobs = new Map<Digest, NamedBlob>();
    const own = new Set<string>(manifests.map((each) => each.digest));
    for (const { digest, mediaType } of manifests) {
      const bytes = await this.#layout.read(digest);
      const sizes = new Map(descriptorsIn(bytes).map((each) => [each.digest, each.size]));
      for (const reference of readStoredManifest(bytes, mediaType).references) {
        const named = parseDigest(reference.digest);
        if (named === undefined || own.has(named)) continue;
        const known = blobs.get(named);
        const isRequired = reference.required !== undefined || known?.isRequired === true;
        blobs.set(named, { digest: named, size: sizes.get(named) ?? known?.size, isRequired });
      }
    }
    return [...blobs.values()];
  }

  async #fetchBlobs(blobs: NamedBlob[]): Promise<void> {
    await mapAtOnce(blobs, fetchesAtOnce, async ({ digest, size, isRequired }, index) => {
      this.#show(index, blobs.length);
      const isThere = await this.#obtainIfReadable("blobs", digest, size);
      if (isThere) this.#report.blobs++;
      else if (isThere === false && isRequired) {
        this.#missing.push({ repository: this.#repository.name, digest });
      }
    });
  }

  /** As {@link #obtain}; content that cannot be read is noted, and `undefined` is returned. */
  async #obtainIfReadable(
    kind: Kind,
    digest: Digest,
    size: number | undefined,
  ): Promise<boolean | undefined> {
    try {
      return await this.#obtain(kind, digest, size);
    } catch (error) {
      if (!(error instanceof CommandError) || isOfAll(error)) throw error;
      this.#lacking.unread.push({ repository: this.#repository.name, digest, reason: error.message });
      return undefined;
    }
  }

  /** Sees to it that the layout has a digest; returns whether it does. */
  async #obtain(kind: Kind, digest: Digest, size: number | undefined): Promise<boolean> {
    const layout = this.#layout;
    const other = this.#sources.get(digest);
    // Manifests are read in any case. Blobs may be large: one is read if it has not the size that a manifest says, which
    // may be wrong.
    const isKept = (kind === "blobs" && (await layout.has(digest, size))) || (await layout.isSound(digest));
    const isThere = isKept || (other !== undefined && (await layout.takeFrom(other, digest)));
    if (!isThere && !(await retry(() => this.#fetch(kind, digest)))) return false;
    this.#sources.set(digest, layout);
    return true;
  }

  async #fetch(kind: Kind, digest: Digest): Promise<boolean> {
    // No pull: that a backup was made says nothing about whether an image is used.
    const params = { name: this.#repository.name, digest };
    const body = await this.#call.api.open(`/repositories/{name}/${kind}/{digest}/content`, params);
    if (body === undefined) return false;
    await this.#layout.write(digest, body, (count) => {
      this.#report.bytes += count;
    });
    this.#report.fetched++;
    return true;
  }

  #show(done: number, all: number): void {
    this.#call.progress.show(this.#repository.name, done, all, this.#report.bytes);
  }
}
