/** Repositories of registries, as sources and destinations of a copy. */
import { blobReader } from "../../client/blob-reader.ts";
import { pushBlob } from "../../client/push-blob.ts";
import type { ImageReference } from "../../client/reference.ts";
import { formatImageReference } from "../../client/reference.ts";
import { RemoteRepository } from "../../client/repository.ts";
import type { Transport } from "../../client/transport.ts";
import { type Digest, hexOf, parseTag, type Tag } from "../../oci/reference.ts";
import { CommandError } from "../errors.ts";
import type { Destination, Root, Source } from "./ends.ts";

/** The tags under which cosign stores signatures, attestations and SBOMs of a manifest. */
const signatureTag = /^sha256-([0-9a-f]{64})\.(?:sig|att|sbom)$/;

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
  let tags: Promise<Tag[]> | undefined;
  // Each becomes a piece of an address, also of the destination's: there is nothing among them but tags.
  const listTags = async () => (await Array.fromAsync(remote.tags())).flatMap((tag) => parseTag(tag) ?? []);
  const allTags = () => {
    tags ??= listTags();
    return tags;
  };
  const resolve = async (tag: Tag): Promise<Root> => {
    const found = await remote.manifest(tag);
    if (found === undefined) throw new CommandError(`there is no ${registry.host}/${name}:${tag}`, 404);
    return { digest: found.digest, mediaType: found.mediaType, tags: [tag] };
  };
  return {
    name: text,
    repository: { registry, name },
    roots: async () => {
      if (wants !== undefined) {
        const wanted = (await allTags()).filter((tag) => !signatureTag.test(tag) && wants(tag));
        return await Promise.all(wanted.map(resolve));
      }
      if (reference.digest === undefined) return [await resolve(reference.tag ?? ("latest" as Tag))];
      const found = await remote.manifest(reference.digest);
      if (found === undefined) throw new CommandError(`there is no ${text}`, 404);
      const own = reference.tag === undefined ? [] : [reference.tag];
      return [{ digest: found.digest, mediaType: found.mediaType, tags: own }];
    },
    manifest: (digest) => remote.manifest(digest),
    blobSize: (digest) => remote.statBlob(digest),
    openBlob: async (digest, size) => blobReader(remote, digest, size),
    referrers: (digest) => remote.referrers(digest),
    signatures: async (digest) => {
      const own = (await allTags()).filter((tag) => signatureTag.exec(tag)?.[1] === hexOf(digest));
      return await Promise.all(own.map(resolve));
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
