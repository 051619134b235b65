/** From a registry to image layouts: every manifest with all that it references, tagged or not. */
import { join } from "node:path";
import type { ListedManifest } from "../../contract/manifests.ts";
import type { ListedRepository } from "../../contract/repositories.ts";
import { readStoredManifest } from "../../oci/manifest.ts";
import { type Digest, parseDigest } from "../../oci/reference.ts";
import type { Invocation } from "../command.ts";
import { CommandError } from "../errors.ts";
import { retry } from "../retry.ts";
import { directoryOf, Layout, type LayoutManifest } from "./layout.ts";

/** The result of an export. `missing`: content that manifests name and the repository does not have, as in mirrors. */
export type ExportReport = {
  repositories: number;
  manifests: number;
  blobs: number;
  fetched: number;
  bytes: number;
  missing: { repository: string; digest: string }[];
};

const fetchesAtOnce = 4;

/** Exports one repository after another. Content that is already in the layout is not fetched again. */
export async function exportAll(
  call: Invocation,
  directory: string,
  repositories: ListedRepository[],
): Promise<ExportReport> {
  const report: ExportReport = {
    repositories: 0,
    manifests: 0,
    blobs: 0,
    fetched: 0,
    bytes: 0,
    missing: [],
  };
  const sources = new Map<Digest, Layout>();
  for (const repository of repositories) {
    const layout = new Layout(join(directory, directoryOf(repository.name)));
    await new RepositoryExport(call, repository, layout, report, sources).run().catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(`${repository.name}: ${error.message}`, error.status, error);
    });
    report.repositories++;
  }
  call.progress.end();
  return report;
}

/** The export of one repository. */
class RepositoryExport {
  readonly #call: Invocation;
  readonly #repository: ListedRepository;
  readonly #layout: Layout;
  readonly #report: ExportReport;
  /** A layout of this run that has a digest: repositories share blobs. */
  readonly #sources: Map<Digest, Layout>;

  constructor(
    call: Invocation,
    repository: ListedRepository,
    layout: Layout,
    report: ExportReport,
    sources: Map<Digest, Layout>,
  ) {
    this.#call = call;
    this.#repository = repository;
    this.#layout = layout;
    this.#report = report;
    this.#sources = sources;
  }

  async run(): Promise<void> {
    const { name, visibility, description } = this.#repository;
    const listed = await this.#call.api.list("/repositories/{name}/manifests", "manifests", {
      params: { name },
      query: { n: "1000" },
    });
    const manifests = await this.#fetchManifests(listed);
    await this.#fetchBlobs(await this.#blobsOf(manifests));
    // Last, so that everything that the index names exists.
    const { readme } = await this.#call.api.send("GET", "/repositories/{name}", { params: { name } });
    await this.#layout.writeIndex({ manifests, visibility, description, readme });
    this.#report.manifests += manifests.length;
  }

  async #fetchManifests(listed: ListedManifest[]): Promise<LayoutManifest[]> {
    const manifests: LayoutManifest[] = [];
    for (const { digest: text, mediaType, size, artifactType, tags } of listed) {
      this.#show(manifests.length, listed.length);
      const digest = parseDigest(text);
      // One that was deleted since it was listed is not missed.
      if (digest === undefined || !(await this.#obtain("manifests", digest))) continue;
      const type = artifactType === undefined ? {} : { artifactType };
      manifests.push({ digest, mediaType, size, ...type, tags });
    }
    return manifests;
  }

  /** The blobs that manifests name, and whether one of them requires it. */
  async #blobsOf(manifests: LayoutManifest[]): Promise<[Digest, { isRequired: boolean }][]> {
    const blobs = new Map<Digest, { isRequired: boolean }>();
    const own = new Set<string>(manifests.map((each) => each.digest));
    for (const { digest, mediaType } of manifests) {
      const { references } = readStoredManifest(await this.#layout.read(digest), mediaType);
      for (const reference of references) {
        const named = parseDigest(reference.digest);
        if (named === undefined || own.has(named)) continue;
        const isRequired = reference.required !== undefined || blobs.get(named)?.isRequired === true;
        blobs.set(named, { isRequired });
      }
    }
    return [...blobs];
  }

  async #fetchBlobs(blobs: [Digest, { isRequired: boolean }][]): Promise<void> {
    const left = [...blobs];
    const work = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [digest, { isRequired }] = next;
        this.#show(blobs.length - left.length, blobs.length);
        if (await this.#obtain("blobs", digest)) this.#report.blobs++;
        else if (isRequired) this.#report.missing.push({ repository: this.#repository.name, digest });
      }
    };
    await Promise.all(Array.from({ length: fetchesAtOnce }, work));
  }

  /** Sees to it that the layout has a digest; returns whether it does. */
  async #obtain(kind: "manifests" | "blobs", digest: Digest): Promise<boolean> {
    const layout = this.#layout;
    const other = this.#sources.get(digest);
    const isThere =
      (await layout.has(digest)) || (other !== undefined && (await layout.takeFrom(other, digest)));
    if (!isThere && !(await retry(() => this.#fetch(kind, digest)))) return false;
    this.#sources.set(digest, layout);
    return true;
  }

  async #fetch(kind: "manifests" | "blobs", digest: Digest): Promise<boolean> {
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
