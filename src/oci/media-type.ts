/**
 * Media types of manifests.
 *
 * Source: RFC 6838, section 4.2; image-spec, media-types.md; Docker's "Image Manifest Version 2, Schema 2".
 */

export const imageManifestType = "application/vnd.oci.image.manifest.v1+json";
export const imageIndexType = "application/vnd.oci.image.index.v1+json";
export const dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
export const dockerManifestListType = "application/vnd.docker.distribution.manifest.list.v2+json";

/** The kinds of manifests; those of `other` types are stored without validation of their fields. */
export type ManifestKind = "image" | "index" | "other";

/** The kind of manifest of a media type, in any case (RFC 9110, section 8.3.1). */
export function kindOfMediaType(mediaType: string): ManifestKind {
  switch (mediaType.toLowerCase()) {
    case imageManifestType:
    case dockerManifestType:
      return "image";
    case imageIndexType:
    case dockerManifestListType:
      return "index";
    default:
      return "other";
  }
}

const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/i;

/** Whether manifests of this media type are of Docker's "Image Manifest Version 2, Schema 1". */
export function isSchema1Type(mediaType: string): boolean {
  return schema1.test(mediaType);
}

const nonDistributable =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.foreign\.diff\.tar(?:\.gzip)?)$/;

/**
 * Whether layers of this media type are not meant to be uploaded. The type determines that, not `urls` (image-spec,
 * layer.md, "Non-Distributable Layers").
 */
export function isNonDistributable(mediaType: string): boolean {
  return nonDistributable.test(mediaType);
}

const restrictedName = "[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}";
const grammar = new RegExp(`^${restrictedName}/${restrictedName}$`);

/** Whether a text is a media type without parameters. */
export function isMediaType(text: string): boolean {
  return grammar.test(text);
}

/**
 * The media type in a `Content-Type` header, without its parameters, which a registry ignores
 * (distribution-spec, "Pushing Manifests"); `undefined` if there is none.
 */
export function mediaTypeOfHeader(header: string | null): string | undefined {
  const mediaType = header?.split(";", 1)[0]?.trim();
  return mediaType === "" ? undefined : mediaType;
}
