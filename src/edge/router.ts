/**
 * From a path to its route.
 *
 * itty-router makes the patterns. They are tried here and not by its `fetch`, which would parse the URL and its query
 * once more, write them into the request and wait for a promise: more than all else that a pull from memory takes.
 */
import { IttyRouter } from "itty-router";
import type { Route } from "./route.ts";
import { routes } from "./routes.ts";

/** The route that a path matched, if any, and what its pattern took from the path, percent-decoded. */
export type Routed = { route: Route | undefined; params: Record<string, string> };

/** What no route was found for. */
export const unrouted: Routed = { route: undefined, params: {} };

const router = IttyRouter();
for (const { path } of routes) router.all(path, () => undefined);

const table = router.routes.map(([, pattern, , path = ""], index) => ({
  pattern,
  fixed: longestFixedPart(path),
  route: routes[index],
}));

/** What every path that a pattern matches has in it: to look for it takes less than to try the pattern. */
function longestFixedPart(path: string): string {
  const parts = path.split(/:\w+\+?/).map((part) => part.replace(/\/$/, ""));
  return parts.reduce((longest, part) => (part.length > longest.length ? part : longest));
}

/**
 * Finds the first route whose pattern matches; its params are unchecked. In the management API one that does not know
 * the method gives way to one that does: `team/manifests` may be a repository's name.
 */
export function findRoute(path: string, method: string): Routed {
  let other: Routed | undefined;
  for (const { pattern, fixed, route } of table) {
    const match = path.includes(fixed) ? pattern.exec(path) : null;
    if (match === null || route === undefined) continue;
    const routed = { route, params: decodeParams(match.groups) };
    if (route.of !== "management" || methodOf(route.methods, method) !== undefined) return routed;
    other ??= routed;
  }
  return other ?? unrouted;
}

/**
 * Some clients write the colon of a digest as `%3A`, and the slashes of a name as `%2F`, which is all that is decoded in
 * a name: it has one other way to be written, and what follows goes by the usual one.
 */
function decodeParams(groups: Record<string, string> = {}): Record<string, string> {
  const params: Record<string, string> = {};
  for (const param in groups) {
    const value = groups[param] ?? "";
    if (!value.includes("%")) params[param] = value;
    else params[param] = param === "name" ? value.replace(/%2f/gi, "/") : decode(value);
  }
  return params;
}

/** What does not decode stays as it is, and fails its grammar. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What there is for a method among those of a route; GET also answers HEAD. */
export function methodOf<E>(methods: Partial<Record<string, E>>, method: string): E | undefined {
  const name = method === "HEAD" ? "GET" : method;
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/**
 * Whether a request only reads, and only what a browser may be led to read. What the management API shows, it would fetch with a
 * password that it knows.
 */
export function isRead(route: Route | undefined, method: string): boolean {
  const isTraced = route?.of === "management" || (route?.of === "public" && route.isTraced === true);
  return !isTraced && (method === "GET" || method === "HEAD" || method === "OPTIONS");
}

/** Whether monitoring asks for it all day. */
export function isProbe(route: Route | undefined): boolean {
  return route !== undefined && "isProbe" in route && route.isProbe === true;
}
