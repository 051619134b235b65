/** From image layouts to a registry: the same digests, tags and referrers. */
import type { ListedManifest } from "../../contract/manifests.ts";
import { readManifest } from "../../oci/manifest.ts";
import { isObject } from "../../oci/manifest-fields.ts";
import { type Digest, parseDigest, type RepositoryName } from "../../oci/reference.ts";
import { unlessUnknown } from "../api.ts";
import { type Attempts, attemptEach } from "../attempts.ts";
import type { Invocation } from "../command.ts";
import { CommandError } from "../errors.ts";
import { quote } from "../format.ts";
import { retry } from "../retry.ts";
import type { Layout, LayoutManifest } from "./layout.ts";

/** How much was pushed, of how many manifests. */
type Pushed = { manifests: number; pushed: number; blobs: number };

/** The result of an import. `repositories`: those with everything of their layout. */
export type ImportReport = Pushed & { repositories: number } & Pick<Attempts, "failed" | "untried">;

/** How many tags a request sets: an address has bounds. */
const tagsAtOnce = 20;

/**
 * Imports one repository after the other; one that fails does not hold up the others. What is there already is not
 * pushed again, unless `isForced`.
 */
export async function importAll(
  call: Invocation,
  layouts: [RepositoryName, Layout][],
  isForced: boolean,
): Promise<ImportReport> {
  const pushed: Pushed = { manifests: 0, pushed: 0, blobs: 0 };
  /** A repository of this run that has a blob, to mount it from. */
  const sources = new Map<Digest, RepositoryName>();
  const { done, failed, untried } = await attemptEach(layouts, async (name, layout) => {
    await new RepositoryImport(call, name, layout, pushed, sources, isForced).run();
  });
  call.progress.end();
  return { repositories: done.length, ...pushed, failed, untried };
}

class RepositoryImport {
  readonly #call: Invocation;
  readonly #name: RepositoryName;
  readonly #layout: Layout;
  readonly #report: Pushed;
  readonly #sources: Map<Digest, RepositoryName>;
  readonly #isForced: boolean;
  readonly #visited = new Set<string>();
  #present = new Map<string, ListedManifest>();
  #manifests = new Map<string, LayoutManifest>();

  constructor(
    call: Invocation,
    name: RepositoryName,
    layout: Layout,
    report: Pushed,
    sources: Map<Digest, RepositoryName>,
    isForced: boolean,
  ) {
    this.#call = call;
    this.#name = name;
    this.#layout = layout;
    this.#report = report;
    this.#sources = sources;
    this.#isForced = isForced;
  }

  async run(): Promise<void> {
    const { api, progress } = this.#call;
    const { manifests, visibility, description, readme } = await this.#layout.readIndex();
    this.#manifests = new Map(manifests.map((each) => [each.digest, each]));
    const params = { name: this.#name };
    const present = await unlessUnknown(
      api.list("/repositories/{name}/manifests", "manifests", { params, query: { n: "1000" } }),
    );
    this.#present = new Map((present ?? []).map((each) => [each.digest, each]));
    try {
      for (const manifest of manifests) {
        progress.show(this.#name, this.#visited.size, manifests.length, 0);
        await this.#visit(manifest);
      }
    } finally {
      this.#report.manifests += this.#visited.size;
    }
    if (visibility !== "private" && visibility !== "public") {
      throw new CommandError(
        `the layout's visibility is ${quote(visibility)}, but must be public or private`,
      );
    }
    if (visibility !== "private" || description !== "" || readme !== "") {
      const written = readme === "" ? {} : { readme };
      await retry(() =>
        api.send("PATCH", "/repositories/{name}", { params, body: { visibility, description, ...written } }),
      );
    }
  }

  /** Pushes a manifest after its references. Depth is bounded by the layout: an index cannot name itself. */
  async #visit(manifest: LayoutManifest): Promise<void> {
    const { digest, mediaType, tags } = manifest;
    if (this.#visited.has(digest)) return;
    this.#visited.add(digest);
    const present = this.#present.get(digest);
    if (!this.#isForced && present !== undefined && tags.every((tag) => present.tags.includes(tag))) return;
    const bytes = await this.#layout.read(digest);
    const reading = readManifest(bytes, mediaType);
    if (!reading.ok) throw new CommandError(`${digest} cannot be pushed: ${reading.reason}`);
    const children = childrenOf(bytes);
    for (const reference of reading.facts.references) {
      const named = parseDigest(reference.digest);
      if (named === undefined) continue;
      const child = this.#manifests.get(named) ?? children.get(named);
      if (child !== undefined && (await this.#layout.has(named))) await this.#visit(child);
      else if (child === undefined) await this.#pushBlob(named);
    }
    const { content } = this.#call;
    for (let start = 0; start === 0 || start < tags.length; start += tagsAtOnce) {
      const some = tags.slice(start, start + tagsAtOnce);
      await content.pushManifest(this.#name, digest, mediaType, bytes, some);
    }
    this.#report.pushed++;
  }

  async #pushBlob(digest: Digest): Promise<void> {
    // Content that the layout does not have was not in the repository either.
    if (!(await this.#layout.has(digest))) return;
    const { content } = this.#call;
    const [file, from] = [this.#layout.pathOf(digest), this.#sources.get(digest)];
    // Content that this run has already sent is sound.
    const isReplaced = this.#isForced && from === undefined;
    if (isReplaced) await content.replaceBlob(this.#name, digest, file);
    const isSent = isReplaced || (await content.pushBlob(this.#name, digest, file, from));
    if (isSent) this.#report.blobs++;
    this.#sources.set(digest, this.#name);
  }
}

/** The entries of an index: layouts of other tools have them only in the index. */
function childrenOf(bytes: Uint8Array): Map<string, LayoutManifest> {
  const { manifests } = JSON.parse(new TextDecoder().decode(bytes)) as { manifests?: unknown };
  // In a manifest of unknown type, that may be anything.
  const listed = Array.isArray(manifests) ? manifests.filter(isListed) : [];
  return new Map(listed.map((each) => [each.digest, { ...each, tags: [] }]));
}

function isListed(entry: unknown): entry is LayoutManifest {
  return isObject(entry) && typeof entry.digest === "string" && typeof entry.mediaType === "string";
}
