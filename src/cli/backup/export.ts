/** From a registry to image layouts: every manifest with all that it references, tagged or not. */
import { join } from "node:path";
import type { Digest } from "../../oci/digest.ts";
import { parseDigest } from "../../oci/digest.ts";
import { readManifest } from "../../oci/manifest.ts";
import type { Invocation } from "../command.ts";
import type { ManifestView, RepositoryView } from "../views.ts";
import { directoryOf, Layout, type LayoutManifest } from "./layout.ts";

/** What an export came to. `missing`: what manifests name and the repository does not have, as mirrors may. */
export type ExportReport = {
  repositories: number;
  manifests: number;
  blobs: number;
  fetched: number;
  bytes: number;
  missing: { repository: string; digest: string }[];
};

const fetchesAtOnce = 4;

/** Exports one repository after the other. What is there already is not fetched again. */
export async function exportAll(
  { api, content, progress }: Invocation,
  directory: string,
  repositories: RepositoryView[],
): Promise<ExportReport> {
  const report: ExportReport = { repositories: 0, manifests: 0, blobs: 0, fetched: 0, bytes: 0, missing: [] };
  /** In which layout of this run a digest is: repositories share blobs. */
  const known = new Map<Digest, Layout>();

  /** Sees to it that a layout has a digest; returns whether it does. */
  const obtain = async (layout: Layout, repository: string, kind: "manifests" | "blobs", digest: Digest) => {
    const other = known.get(digest);
    const isThere =
      (await layout.has(digest)) || (other !== undefined && (await layout.takeFrom(other, digest)));
    if (!isThere) {
      const body = await content.open(repository, kind, digest);
      if (body === undefined) return false;
      await layout.write(digest, body, (count) => {
        report.bytes += count;
      });
      report.fetched++;
    }
    known.set(digest, layout);
    return true;
  };

  for (const { name, visibility, description } of repositories) {
    const layout = new Layout(join(directory, directoryOf(name)));
    const listed = await api.list<ManifestView>(`repositories/${name}/manifests`, "manifests", { n: "1000" });
    const digests = new Set<string>(listed.map((each) => each.digest));
    const manifests: LayoutManifest[] = [];
    const blobs = new Map<Digest, { isRequired: boolean }>();
    for (const { digest: text, mediaType, size, artifactType, tags } of listed) {
      progress.show(name, manifests.length, listed.length, report.bytes);
      const digest = parseDigest(text);
      // One that was deleted since it was listed is not missed.
      if (digest === undefined || !(await obtain(layout, name, "manifests", digest))) continue;
      manifests.push({
        digest,
        mediaType,
        size,
        ...(artifactType === undefined ? {} : { artifactType }),
        tags,
      });
      for (const reference of referencesOf(await layout.read(digest), mediaType)) {
        const named = parseDigest(reference.digest);
        if (named === undefined || digests.has(named)) continue;
        const isRequired = reference.required !== undefined || blobs.get(named)?.isRequired === true;
        blobs.set(named, { isRequired });
      }
    }
    const left = [...blobs];
    const all = left.length;
    const work = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [digest, { isRequired }] = next;
        progress.show(name, all - left.length, all, report.bytes);
        if (await obtain(layout, name, "blobs", digest)) report.blobs++;
        else if (isRequired) report.missing.push({ repository: name, digest });
      }
    };
    await Promise.all(Array.from({ length: fetchesAtOnce }, work));
    // Last, so that what an index names is there.
    await layout.writeIndex({ manifests, visibility, description });
    report.repositories++;
    report.manifests += manifests.length;
  }
  progress.end();
  return report;
}

function referencesOf(bytes: Uint8Array, mediaType: string) {
  const reading = readManifest(bytes, mediaType);
  return reading.ok ? reading.facts.references : [];
}
