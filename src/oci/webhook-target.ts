/**
 * Which URLs events may be sent to: none that lead into the network that the registry runs in.
 *
 * Names cannot be resolved here. What is checked is the URL: literal addresses in all their spellings (which URL
 * parsers bring to one), and names that only a local network knows. On one machine the runtime also refuses private
 * addresses that a name resolves to (src/local/options.ts); Cloudflare's network has no route to any.
 *
 * Source of the ranges: IANA, IPv4 and IPv6 Special-Purpose Address Registries.
 */

import { parseV4, parseV6 } from "./address.ts";

const maxUrlLength = 2000;

/** Why events may not be sent to a URL, in words for who asked for it; `undefined` when they may. */
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

function isPrivateHost(hostname: string): boolean {
  // With dots at its end a name leads where it does without them. URL parsers keep them, and with two of them they take
  // an address for a name.
  const name = URL.parse(`https://${hostname.replace(/\.+$/, "")}`)?.hostname;
  if (name === undefined) return true;
  if (name.startsWith("[")) return isPrivateV6(parseV6(name.slice(1, -1)));
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return isPrivateV4(parseV4(name));
  // A name of one label is one that a search domain or a hosts file completes.
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

/** What is global unicast (2000::/3) and no way around: all else, and these, are refused. */
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
