/**
 * What references are made of: names of repositories, tags, and digests.
 *
 * Source: distribution-spec, "Pulling manifests"; image-spec, descriptor.md, "Digests".
 */
import { createHash } from "node:crypto";

declare const repositoryNameBrand: unique symbol;
declare const tagBrand: unique symbol;

/** The name of a repository. Made only by {@link parseRepositoryName}. */
export type RepositoryName = string & { readonly [repositoryNameBrand]: true };

/** A tag. Made only by {@link parseTag}. */
export type Tag = string & { readonly [tagBrand]: true };

const repositoryNameGrammar =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** The longest name accepted: what clients accept of host and name together. */
const maxRepositoryNameLength = 255;

/** Parses a repository name, of at most 255 characters; `undefined` when it is outside the grammar. */
export function parseRepositoryName(text: string): RepositoryName | undefined {
  if (text.length > maxRepositoryNameLength) return undefined;
  return repositoryNameGrammar.test(text) ? (text as RepositoryName) : undefined;
}

/** Parses a tag, of at most 128 characters; `undefined` when it is outside the grammar. */
export function parseTag(text: string): Tag | undefined {
  return tagGrammar.test(text) ? (text as Tag) : undefined;
}

declare const anyDigestBrand: unique symbol;
declare const digestBrand: unique symbol;

/** A digest of whatever algorithm, as manifests may name. Made only by {@link parseAnyDigest}. */
export type AnyDigest = string & { readonly [anyDigestBrand]: true };

/** A digest of a supported algorithm, in its canonical form. Made only by {@link parseDigest}. */
export type Digest = AnyDigest & { readonly [digestBrand]: true };

/** The algorithms that content may be addressed by; both are registered in image-spec. */
export type DigestAlgorithm = "sha256" | "sha512";

const hexLength: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128 };

const grammar = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

/** Whether a text is one of the supported algorithms. */
export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(hexLength, text);
}

/**
 * Whether a text has the form of a digest, of whatever algorithm.
 *
 * A manifest may carry such a descriptor; a registry that does not know the algorithm cannot hold its content.
 */
export function isWellFormedDigest(text: string): boolean {
  return text.length <= 512 && grammar.test(text);
}

/** Parses a digest of a supported algorithm; `undefined` for anything else, upper-case hex included. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  if (!isDigestAlgorithm(algorithm) || hex.length !== hexLength[algorithm]) return undefined;
  return /^[0-9a-f]+$/.test(hex) ? (text as Digest) : undefined;
}

/**
 * Parses a digest of whatever algorithm: an unknown one is to pass where only its content could be verified
 * (image-spec, descriptor.md, "Digests"). One of a supported algorithm must be in its canonical form.
 */
export function parseAnyDigest(text: string): AnyDigest | undefined {
  if (!isWellFormedDigest(text)) return undefined;
  if (isDigestAlgorithm(text.slice(0, text.indexOf(":")))) return parseDigest(text);
  return text as AnyDigest;
}

/** The digest with this algorithm and hexadecimal hash, as a hash function printed it. */
export function digestOf(algorithm: DigestAlgorithm, hex: string): Digest {
  return `${algorithm}:${hex}` as Digest;
}

/** The digest of content. */
export function digestOfContent(bytes: Uint8Array, algorithm: DigestAlgorithm): Digest {
  return digestOf(algorithm, createHash(algorithm).update(bytes).digest("hex"));
}

/** The algorithm of a digest. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The hexadecimal hash of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

const emptyContent: Record<DigestAlgorithm, string> = {
  sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  sha512:
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" +
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
};

/** Whether this is the digest of no bytes at all. */
export function isDigestOfNothing(digest: Digest): boolean {
  return hexOf(digest) === emptyContent[algorithmOf(digest)];
}
