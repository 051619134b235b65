/** Copies manifests, each after its references, under the same digests. Existing content is not sent. */
import { type Descriptor, descriptorsIn } from "../../client/descriptor.ts";
import type { BlobSource } from "../../client/push-blob.ts";
import { annotationsOf, readManifest } from "../../oci/manifest.ts";
import type { ManifestFacts } from "../../oci/manifest-fields.ts";
import { kindOfMediaType } from "../../oci/media-type.ts";
import { type Digest, parseDigest } from "../../oci/reference.ts";
import { mapAtOnce } from "../at-once.ts";
import { type Attempts, attemptEach } from "../attempts.ts";
import { CommandError } from "../errors.ts";
import type { Layers } from "../layers.ts";
import type { Destination, Manifest, Root, Source, Subject } from "./ends.ts";

/** The result of a copy; with `--dry-run`, the expected result. */
export type CopyReport = {
  tags: string[];
  manifests: number;
  blobs: number;
  mounted: number;
  bytes: number;
};

/** Of several images, those that could not be copied, and those that were not tried. */
export type Failures = Pick<Attempts, "failed" | "untried">;

/** How a copy is done. `platform`: the one image of an index that is wanted. */
export type CopyOptions = { platform?: string | undefined; isDryRun: boolean; layers: Layers };

const blobsAtOnce = 4;
/** Indexes within indexes, and signatures of signatures, are not nested more deeply in practice. */
const maxDepth = 10;

/** Copies from one source to one destination. */
export class Copy {
  readonly report: CopyReport = { tags: [], manifests: 0, blobs: 0, mounted: 0, bytes: 0 };
  readonly #source: Source;
  readonly #destination: Destination;
  readonly #options: CopyOptions;
  /** Content that is at the destination, or on its way there. */
  readonly #manifests = new Set<Digest>();
  readonly #blobs = new Set<Digest>();

  constructor(source: Source, destination: Destination, options: CopyOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
  }

  /**
   * Copies some roots, one after another, with their references and referrers. Of several, one that fails does not hold up
   * the others.
   */
  async run(roots: readonly Root[]): Promise<Failures> {
    const failures = await this.#copyRoots(roots);
    if (!this.#options.isDryRun) await this.#destination.finish?.();
    return failures;
  }

  async #copyRoots(roots: readonly Root[]): Promise<Failures> {
    const [root, ...others] = roots;
    if (root === undefined || others.length > 0) {
      const named = roots.map((each): [string, Root] => [each.tags.join(", ") || each.digest, each]);
      return await attemptEach(named, (_, each) => this.#copyWanted(each));
    }
    await this.#copyWanted(root);
    return { failed: [], untried: [] };
  }

  async #copyWanted(root: Root): Promise<void> {
    const { platform } = this.#options;
    const wanted = platform === undefined ? root : await this.#choose(root, platform);
    await this.#requireWhole(wanted);
    await this.#copyRoot(wanted, 0);
  }

  async #copyRoot(root: Root, depth: number): Promise<void> {
    const missing: string[] = [];
    for (const tag of root.tags) {
      // A signature may have come with its image already.
      if (this.report.tags.includes(tag)) continue;
      if ((await this.#destination.tagged(tag)) !== root.digest) missing.push(tag);
    }
    await this.#copyManifest(root.digest, root.mediaType, missing, undefined, depth);
    this.report.tags.push(...missing);
  }

  /** The image of an index that is for a platform, in the place of the index. */
  async #choose(root: Root, platform: string): Promise<Root> {
    if (kindOfMediaType(root.mediaType) !== "index") return root;
    const all = descriptorsIn((await this.#read(root.digest, root.mediaType)).bytes);
    const found = all.find((each) => platformsOf(each).includes(platform));
    if (found !== undefined) return { digest: found.digest, mediaType: found.mediaType, tags: root.tags };
    const known = all.flatMap((each) => platformsOf(each).slice(0, 1)).join(", ") || "none";
    throw new CommandError(`${this.#source.name} has no image for ${platform}; there are ${known}`);
  }

  /**
   * Refuses an index whose images are not all there, before anything is sent: what docker's containerd store saves of an
   * image that was pulled has the whole index, and the image of one platform.
   */
  async #requireWhole({ digest, mediaType }: Root): Promise<void> {
    const [source, destination] = [this.#source, this.#destination];
    if (source.hasManifest === undefined || kindOfMediaType(mediaType) !== "index") return;
    const held: Descriptor[] = [];
    const missing: Digest[] = [];
    for (const each of descriptorsIn((await this.#read(digest, mediaType)).bytes)) {
      if (await source.hasManifest(each.digest)) held.push(each);
      else if (kindOfMediaType(each.mediaType) !== "other") missing.push(each.digest);
    }
    if (missing.length === 0 || (await destination.hasManifest(digest))) return;
    const areThere = await Promise.all(missing.map((each) => destination.hasManifest(each)));
    const absent = missing.find((_, index) => !areThere[index]);
    if (absent === undefined) return;
    // Attestations have a platform that is none.
    const platforms = held
      .flatMap((each) => platformsOf(each).slice(0, 1))
      .filter((each) => each !== "unknown/unknown");
    if (platforms[0] === undefined) throw this.#lacks(absent);
    throw new CommandError(
      `${source.name} has only ${platforms.join(", ")} of this index: use --platform ${platforms[0]}`,
    );
  }

  /** Copies a manifest with its references, then its referrers. */
  async #copyManifest(
    digest: Digest,
    mediaType: string,
    tags: readonly string[],
    subject: Digest | undefined,
    depth: number,
  ): Promise<void> {
    if (depth > maxDepth) throw new CommandError(`${digest}: manifests in manifests go too deep`);
    const isNew = !this.#manifests.has(digest);
    this.#manifests.add(digest);
    try {
      await this.#copyWith(digest, mediaType, tags, subject, depth, isNew);
    } catch (error) {
      // Another image may have it as well.
      this.#manifests.delete(digest);
      throw error;
    }
  }

  async #copyWith(
    digest: Digest,
    mediaType: string,
    tags: readonly string[],
    subject: Digest | undefined,
    depth: number,
    isNew: boolean,
  ): Promise<void> {
    const isThere = !isNew || (await this.#destination.hasManifest(digest));
    if (!isThere || tags.length > 0) {
      const manifest = await this.#read(digest, mediaType);
      const facts = factsOf(manifest);
      if (!isThere) await this.#copyReferences(manifest, facts, depth);
      await this.#put(manifest, facts, tags, subject);
    }
    if (!isNew) return;
    for (const referrer of await this.#source.referrers(digest)) {
      await this.#copyManifest(referrer.digest, referrer.mediaType, [], digest, depth + 1);
    }
    for (const signature of await this.#source.signatures(digest)) {
      if (!this.#manifests.has(signature.digest)) await this.#copyRoot(signature, depth + 1);
    }
  }

  async #put(
    manifest: Manifest,
    { artifactType, subject: named }: ManifestFacts,
    tags: readonly string[],
    subject: Digest | undefined,
  ): Promise<void> {
    this.report.manifests++;
    if (this.#options.isDryRun) return;
    const { digest, mediaType, bytes } = manifest;
    const target = subject ?? parseDigest(named ?? "");
    const annotations = annotationsOf(bytes);
    const referrer: Descriptor = {
      mediaType,
      digest,
      size: bytes.byteLength,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    };
    const about: Subject | undefined = target === undefined ? undefined : { digest: target, referrer };
    await this.#destination.putManifest(manifest, tags, about);
  }

  async #copyReferences(manifest: Manifest, { references }: ManifestFacts, depth: number): Promise<void> {
    const known = new Map(descriptorsIn(manifest.bytes).map((each) => [each.digest as string, each]));
    const blobs: { digest: Digest; size: number | undefined; isRequired: boolean }[] = [];
    for (const { digest: text, required } of references) {
      const digest = parseDigest(text);
      const descriptor = known.get(text);
      if (digest === undefined) continue;
      const kind = descriptor === undefined ? "other" : kindOfMediaType(descriptor.mediaType);
      if (required === "manifest" || (required === undefined && kind !== "other")) {
        const child = descriptor?.mediaType ?? manifest.mediaType;
        await this.#copyManifest(digest, child, [], undefined, depth + 1);
      } else {
        blobs.push({ digest, size: descriptor?.size, isRequired: required !== undefined });
      }
    }
    const left = blobs.filter(({ digest }) => !this.#blobs.has(digest));
    await mapAtOnce(left, blobsAtOnce, ({ digest, size, isRequired }) =>
      this.#copyBlob(digest, size, isRequired),
    );
  }

  async #copyBlob(digest: Digest, described: number | undefined, isRequired: boolean): Promise<void> {
    if (this.#blobs.has(digest)) return;
    this.#blobs.add(digest);
    try {
      await this.#sendBlob(digest, described, isRequired);
    } catch (error) {
      this.#blobs.delete(digest);
      throw error;
    }
  }

  async #sendBlob(digest: Digest, described: number | undefined, isRequired: boolean): Promise<void> {
    if (await this.#destination.hasBlob(digest, described)) return;
    const size = described ?? (await this.#source.blobSize(digest));
    // Content that a manifest names but does not require may be elsewhere, or nowhere.
    if (size === undefined || (!isRequired && (await this.#source.blobSize(digest)) === undefined)) return;
    if (size < 0) throw new CommandError(`${this.#source.name} does not say how large ${digest} is`);
    this.report.blobs++;
    if (this.#options.isDryRun) {
      this.report.bytes += size;
      return;
    }
    const { repository } = this.#source;
    const isSame =
      repository !== undefined && repository.registry.origin === this.#destination.registry?.origin;
    const layer = this.#options.layers.begin(digest.slice(0, 19), size);
    try {
      const open = (): Promise<BlobSource> => this.#source.openBlob(digest, size);
      const onBytes = (count: number) => {
        layer.add(count);
        this.report.bytes += count;
      };
      const outcome = await this.#destination.putBlob(
        digest,
        open,
        onBytes,
        isSame ? repository.name : undefined,
      );
      if (outcome === "mounted") this.report.mounted++;
      layer.done(`${digest.slice(0, 19)} ${outcome}`);
    } catch (error) {
      layer.forget();
      throw error;
    }
  }

  async #read(digest: Digest, mediaType: string): Promise<Manifest> {
    const manifest = await this.#source.manifest(digest, mediaType);
    if (manifest !== undefined) return manifest;
    throw this.#lacks(digest);
  }

  #lacks(digest: Digest): CommandError {
    return new CommandError(`${this.#source.name} has no manifest ${digest}`);
  }
}

function factsOf({ digest, mediaType, bytes }: Manifest): ManifestFacts {
  const reading = readManifest(bytes, mediaType);
  if (reading.ok) return reading.facts;
  throw new CommandError(`the manifest ${digest} cannot be copied: ${reading.reason}`);
}

/** How a platform is written: `linux/arm64`, or with its variant `linux/arm/v7`. */
function platformsOf({ platform }: Descriptor): string[] {
  if (platform === undefined) return [];
  const { os, architecture, variant } = platform;
  const plain = `${os}/${architecture}`;
  return variant === undefined ? [plain] : [`${plain}/${variant}`, plain];
}
