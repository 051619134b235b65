/**
 * Addresses of the Internet Protocol (RFC 4291, RFC 5952), and the origins and hosts of URLs in headers and settings.
 */

/** Reads four numbers with dots between them. */
export function parseV4(text: string): bigint {
  return text.split(".").reduce((address, byte) => address * 256n + BigInt(byte), 0n);
}

/** Reads an address as URL parsers write it: in hexadecimal groups, with at most one `::`. */
export function parseV6(text: string): bigint {
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...zeros, ...after].reduce(
    (address, group) => address * 65_536n + BigInt(`0x${group}`),
    0n,
  );
}

const v4Grammar = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** The prefix of an IPv4-mapped IPv6 address: `::ffff:0:0/96`. */
const mappedPrefix = 0xffffn;

/**
 * The network of an address, for counting: an IPv4 address itself, or the first 64 bits of an IPv6 address, as one
 * subscriber gets a /64 and may use any address in it. Brackets, a zone or a port make no difference. `undefined` if
 * the text is not an address.
 */
export function networkOf(text: string): string | undefined {
  const bare = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, "$1");
  if (v4Grammar.test(bare)) return bare;
  const host = bare.includes(":") ? URL.parse(`http://[${bare.replace(/%.*$/, "")}]/`)?.hostname : undefined;
  if (host === undefined) return undefined;
  const address = parseV6(host.slice(1, -1));
  if (address >> 32n === mappedPrefix) return toV4(address & 0xffff_ffffn);
  return `${(address >> 64n).toString(16)}::/64`;
}

function toV4(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((bits) => (address >> bits) & 0xffn).join(".");
}

/**
 * A host and a port as clients write them, without characters that a URL parser would read as another part of a URL.
 */
const grammar = /^https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

const maxLength = 255;

/** The URL of an origin, `http(s)://host[:port]`; `undefined` if the text is anything else or has more parts. */
export function parseOrigin(text: string): URL | undefined {
  return text.length <= maxLength && grammar.test(text) ? (URL.parse(text) ?? undefined) : undefined;
}

/** A host name without a final dot, which does not change its meaning. */
export function withoutFinalDot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/**
 * Whether a host, as URL parsers write it, is always this machine: a loopback address, or a name that browsers resolve
 * to one without DNS (RFC 6761, section 6.3).
 */
export function isLoopbackHost(host: string): boolean {
  const name = withoutFinalDot(host);
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d+){3}$/.test(name)
  );
}

/** How many hosts a list may have at most. */
export const maxHosts = 100;

/**
 * A list of host names and addresses without ports, separated by commas: as URL parsers write them, without a final
 * dot. `undefined` if one of them is invalid, or there are more than {@link maxHosts}.
 */
export function parseHosts(text: string): string[] | undefined {
  const names = text.split(",").flatMap((name) => name.trim() || []);
  const parsed = names.flatMap((name) =>
    /[^:]:\d+$/.test(name) ? [] : (parseOrigin(`http://${name}`) ?? []),
  );
  if (parsed.length < names.length || names.length > maxHosts) return undefined;
  return parsed.map(({ hostname }) => withoutFinalDot(hostname));
}
