/** Addresses of operations, as clients of the management API write them. */

/**
 * What follows `{name}` in the paths of operations. A repository may have a component of this name: the path of
 * `team/tags` would be that of the tags of `team`.
 */
const afterName = [
  "blobs",
  "deleted",
  "history",
  "manifests",
  "policy",
  "references",
  "restore",
  "tags",
  "untagged",
];

/** A slash that the server could take for the end of a name. */
const ambiguousSlash = new RegExp(`/(?=(?:${afterName.join("|")})(?:/|$))`, "g");

/**
 * The path of an operation, such as `/repositories/{name}/tags`, with its parameters, each percent-encoded.
 *
 * Names of repositories keep their slashes, as some reverse proxies refuse `%2F`, but for those that would be ambiguous.
 */
export function fillPath(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, parameter: string) => {
    const value = params[parameter] ?? "";
    const encoded = encodeURIComponent(value);
    return parameter === "name" ? encoded.replaceAll("%2F", "/").replace(ambiguousSlash, "%2F") : encoded;
  });
}
