/** Repositories of registries, as sources and destinations of a copy. */
import { blobReader } from "../../client/blob-reader.ts";
import { RegistryError } from "../../client/errors.ts";
import { pushBlob } from "../../client/push-blob.ts";
import type { ImageReference } from "../../client/reference.ts";
import { formatImageReference } from "../../client/reference.ts";
import { RemoteRepository } from "../../client/repository.ts";
import type { Transport } from "../../client/transport.ts";
import { type Digest, parseDigest, parseTag, type Tag } from "../../oci/reference.ts";
import { mapAtOnce } from "../at-once.ts";
import { isOfAll } from "../attempts.ts";
import { CommandError, isExpected } from "../errors.ts";
import type { Destination, Found, Root, Source } from "./ends.ts";
import { isSignatureTag, signatureTagsOf } from "./signatures.ts";

/** The tag that is meant where none is named. */
const latest = "latest" as Tag;
const questionsAtOnce = 4;

/** Whether a registry that has refused may say more to a second request; after 429 none is sent. */
function mayTellMore({ status = 0 }: RegistryError): boolean {
  return status >= 400 && status < 500 && status !== 429;
}

/**
 * A repository to copy from: one image of it, or all images whose tags match.
 *
 * @param wants which tags to copy; `undefined` for the one image that the reference names
 */
export function remoteSource(
  transport: Transport,
  reference: ImageReference,
  wants: ((tag: string) => boolean) | undefined,
): Source {
  const { repository: name, registry } = reference;
  const remote = new RemoteRepository(transport, name, ["pull"]);
  const text = formatImageReference(reference);
  let tags: Promise<Set<Tag>> | undefined;
  // Each becomes a piece of an address, also of the destination's: there is nothing among them but tags.
  const listTags = async () =>
    new Set((await Array.fromAsync(remote.tags())).flatMap((tag) => parseTag(tag) ?? []));
  const allTags = () => {
    tags ??= listTags();
    return tags;
  };
  /** What HEAD says of a manifest. A refusal has no words there: GET says why, or has the manifest after all. */
  const stat = async (named: Tag | Digest) =>
    await remote.statManifest(named).catch(async (error: unknown) => {
      if (!(error instanceof RegistryError) || !mayTellMore(error)) throw error;
      return await remote.manifest(named);
    });
  /** The manifest of a reference. It is not read if that is not needed: registries limit how many are read. */
  const find = async (named: Tag | Digest, own: Tag[]): Promise<Root | undefined> => {
    const known = await stat(named);
    const digest = parseDigest(named) ?? known?.digest;
    if (known !== undefined && digest !== undefined) return { digest, mediaType: known.mediaType, tags: own };
    const read = known === undefined ? undefined : await remote.manifest(named);
    return read === undefined ? undefined : { digest: read.digest, mediaType: read.mediaType, tags: own };
  };
  const findAll = async (wanted: Tag[]): Promise<Root[]> =>
    (await mapAtOnce(wanted, questionsAtOnce, (tag) => find(tag, [tag]))).flatMap((root) => root ?? []);
  /** One that is not answered does not hold up the others, unless they would not be either. */
  const findEach = async (wanted: Tag[]): Promise<Found> => {
    const failed: Found["failed"] = [];
    const found = await mapAtOnce(wanted, questionsAtOnce, async (tag) => {
      try {
        return await find(tag, [tag]);
      } catch (error) {
        if (!isExpected(error) || isOfAll(error)) throw error;
        failed.push({ name: tag, reason: error.message });
        return undefined;
      }
    });
    return { roots: found.flatMap((root) => root ?? []), failed };
  };
  return {
    name: text,
    repository: { registry, name },
    roots: async () => {
      // A tag that was deleted since they were listed is not missed.
      if (wants !== undefined)
        return await findEach([...(await allTags())].filter((tag) => !isSignatureTag(tag) && wants(tag)));
      const { digest, tag = digest === undefined ? latest : undefined } = reference;
      const found = await find(digest ?? tag ?? latest, tag === undefined ? [] : [tag]);
      if (found !== undefined) return { roots: [found], failed: [] };
      throw new CommandError(
        `there is no ${digest === undefined ? `${registry.host}/${name}:${tag}` : text}`,
        404,
      );
    },
    manifest: (digest) => remote.manifest(digest),
    blobSize: (digest) => remote.statBlob(digest),
    openBlob: async (digest, size) => blobReader(remote, digest, size),
    referrers: (digest) => remote.referrers(digest),
    signatures: async (digest) => {
      const own = signatureTagsOf(digest);
      // A list may be long, or not for everybody who may pull: for one image it is not asked for.
      if (wants === undefined) return await findAll(own);
      const all = await allTags();
      return await findAll(own.filter((tag) => all.has(tag)));
    },
  };
}

/** A repository to copy to. */
export function remoteDestination(transport: Transport, reference: ImageReference): Destination {
  const { repository: name, registry } = reference;
  const remote = new RemoteRepository(transport, name, ["pull", "push"]);
  return {
    name: `${registry.host}/${name}`,
    registry,
    tagged: async (tag) => (await remote.statManifest(tag as Tag))?.digest,
    hasManifest: async (digest) => (await remote.statManifest(digest)) !== undefined,
    hasBlob: async (digest) => (await remote.statBlob(digest)) !== undefined,
    putBlob: (digest, open, onBytes, from) => pushBlob(remote, digest, open, { onBytes, from }),
    putManifest: async ({ digest, mediaType, bytes }, tags, subject) => {
      const references: (Tag | Digest)[] = tags.flatMap((tag) => parseTag(tag) ?? []);
      if (references.length === 0) references.push(digest);
      for (const each of references) {
        const { isListed } = await remote.putManifest(each, mediaType, bytes);
        if (subject !== undefined && !isListed) await remote.addReferrer(subject.digest, subject.referrer);
      }
    },
  };
}
