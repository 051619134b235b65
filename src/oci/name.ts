/**
 * Repository names and tags.
 *
 * Source: distribution-spec, "Pulling manifests".
 */

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
