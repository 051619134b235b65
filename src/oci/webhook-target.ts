/**
 * Checks the URLs of webhooks: none may point into the network that the registry runs in.
 *
 * Names cannot be resolved here. Only the URL is checked: literal addresses (URL parsers normalise all their
 * spellings), and names that only a local network can resolve. On one machine the runtime also refuses names that
 * resolve to private addresses (src/local/options.ts); Cloudflare's network has no route to them.
 *
 * Source of the ranges: IANA, IPv4 and IPv6 Special-Purpose Address Registries.
 */

import { parseV4, parseV6 } from "./address.ts";

const maxUrlLength = 2000;

/** Why events may not be sent to a URL, in words for the caller; `undefined` if they may. */
export function targetProblem(text: string, allowsPrivate: boolean): string | undefined {
  const url = URL.parse(text);
  if (url === null || text.length > maxUrlLength) return `not a URL of at most ${maxUrlLength} characters`;
  if (url.protocol !== "https:" && url.protocol !== "http:") return "neither https nor http";
  if (url.username !== "" || url.password !== "") return "with credentials: put them into headers";
  if (allowsPrivate) return undefined;
  if (url.protocol !== "https:") return "not https (WEBHOOK_ALLOW_PRIVATE=yes allows http)";
  if (isPrivateHost(url.hostname)) {
    return "at a private address (WEBHOOK_ALLOW_PRIVATE=yes allows them)";
  }
  return undefined;
}

/** Whether a host, as URL parsers write it, is at a private address, or has a name that only a local network resolves. */
export function isPrivateHost(hostname: string): boolean {
  // Final dots do not change where a name leads. URL parsers keep them, and with two of them they read an address as a
  // name.
  const name = URL.parse(`https://${hostname.replace(/\.+$/, "")}`)?.hostname;
  if (name === undefined) return true;
  if (name.startsWith("[")) return isPrivateV6(parseV6(name.slice(1, -1)));
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return isPrivateV4(parseV4(name));
  // A single label is resolved by a search domain or a hosts file.
  return !name.includes(".") || localDomains.some((domain) => name.endsWith(`.${domain}`));
}

const localDomains = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "lan",
  "home",
  "corp",
  "home.arpa",
];

type Range<A> = [base: A, prefixBits: number];

const privateV4: Range<string>[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

/** Whether a 32-bit address is in one of the ranges. */
function isPrivateV4(address: bigint): boolean {
  return privateV4.some(([base, bits]) => isWithin(address, parseV4(base), bits, 32));
}

/**
 * Refused ranges within global unicast (2000::/3), as they may lead elsewhere. Addresses outside of it are all refused.
 */
const privateV6: Range<string>[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

function isPrivateV6(address: bigint): boolean {
  if (!isWithin(address, parseV6("2000::"), 3, 128)) return true;
  return privateV6.some(([base, bits]) => isWithin(address, parseV6(base), bits, 128));
}

function isWithin(address: bigint, base: bigint, prefixBits: number, bits: number): boolean {
  const rest = BigInt(bits - prefixBits);
  return address >> rest === base >> rest;
}
