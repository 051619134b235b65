/** Origins and hosts of URLs, as they are given in headers and settings. */

/** A host and a port as clients write them: nothing that a URL parser would take for another part of a URL. */
const grammar = /^https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

const maxLength = 255;

/** The URL of an origin, `http(s)://host[:port]`; `undefined` when the text is none, or more than that. */
export function parseOrigin(text: string): URL | undefined {
  return text.length <= maxLength && grammar.test(text) ? (URL.parse(text) ?? undefined) : undefined;
}

/** A host name without the dot that may end it: with it, it is the same name. */
export function withoutFinalDot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/**
 * Whether a host, as URL parsers write it, is this machine and can be made nothing else: an address of loopback, or a
 * name that browsers resolve to one without asking anybody (RFC 6761, section 6.3).
 */
export function isLoopbackHost(host: string): boolean {
  const name = withoutFinalDot(host);
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d+){3}$/.test(name)
  );
}

/** The most hosts that a list may name. */
export const maxHosts = 100;

/**
 * A list of host names and addresses without ports, separated by commas: as URL parsers write them, without a final
 * dot. `undefined` when one of them is none, or there are more than {@link maxHosts}.
 */
export function parseHosts(text: string): string[] | undefined {
  const names = text.split(",").flatMap((name) => name.trim() || []);
  const parsed = names.flatMap((name) =>
    /[^:]:\d+$/.test(name) ? [] : (parseOrigin(`http://${name}`) ?? []),
  );
  if (parsed.length < names.length || names.length > maxHosts) return undefined;
  return parsed.map(({ hostname }) => withoutFinalDot(hostname));
}
