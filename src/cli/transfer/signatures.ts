/** Manifests that stand for others by their tags, as cosign stores them. */
import { type Digest, parseTag, type Tag } from "../../oci/reference.ts";

const signatureTag = /^sha256-[0-9a-f]{64}\.(?:sig|att|sbom)$/;

/** Whether cosign stores a signature, attestations or an SBOM of a manifest under this tag. */
export function isSignatureTag(tag: string): boolean {
  return signatureTag.test(tag);
}

/** The tags under which cosign stores signatures, attestations and SBOMs of a manifest. */
export function signatureTagsOf(digest: Digest): Tag[] {
  return ["sig", "att", "sbom"]
    .map((kind) => `${digest.replace(":", "-")}.${kind}`)
    .flatMap((text) => (isSignatureTag(text) ? (parseTag(text) ?? []) : []));
}
