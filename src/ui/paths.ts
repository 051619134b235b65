/** The paths of the screens. `-` separates the name of a repository from what of it is shown: no name contains that. */

/** A screen, as a path names it. */
export type Screen =
  | { at: "repositories" | "usage" | "deleted" | "waiting" | "account" | "sign-in" | "unknown" }
  | { at: "repository"; name: string; tab: Tab }
  | { at: "reference"; name: string; reference: string };

/** The parts of a repository that have a screen of their own. */
export const tabs = ["tags", "readme", "history", "rules", "untagged", "settings"] as const;

/** One of {@link tabs}. */
export type Tab = (typeof tabs)[number];

/** The path of a repository. */
export function repositoryPath(name: string, tab: Tab = "tags"): string {
  return tab === "tags" ? `/r/${name}` : `/r/${name}/-/${tab}`;
}

/** The path of a tag or manifest. */
export function referencePath(name: string, reference: string): string {
  return `/r/${name}/-/${reference.includes(":") ? "manifests" : "tags"}/${encodeURIComponent(reference)}`;
}

/** A path with a query. Empty values are left out. */
export function withQuery(path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** The screen of a path. */
export function screenOf(path: string): Screen {
  if (path === "/" || path === "/search") return { at: "repositories" };
  const [, first = "", ...rest] = path.replace(/\/+$/, "").split("/");
  switch (first) {
    case "usage":
    case "deleted":
    case "waiting":
    case "account":
    case "sign-in":
      return rest.length === 0 ? { at: first } : { at: "unknown" };
    case "r":
      return screenOfRepository(rest);
    default:
      return { at: "unknown" };
  }
}

function screenOfRepository(segments: string[]): Screen {
  const dash = segments.indexOf("-");
  const name = (dash < 0 ? segments : segments.slice(0, dash)).join("/");
  if (name === "") return { at: "unknown" };
  if (dash < 0) return { at: "repository", name, tab: "tags" };
  const [what = "", reference, ...more] = segments.slice(dash + 1);
  if (more.length > 0) return { at: "unknown" };
  if (reference !== undefined) {
    return what === "tags" || what === "manifests"
      ? { at: "reference", name, reference: decodeURIComponent(reference) }
      : { at: "unknown" };
  }
  const tab = tabs.find((each) => each === what);
  return tab === undefined ? { at: "unknown" } : { at: "repository", name, tab };
}
