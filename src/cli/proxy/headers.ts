/** Which headers are passed on, and which are for one connection alone. Source: RFC 9110, section 7.6.1. */
import type { IncomingMessage } from "node:http";
import type { Addresses } from "./addresses.ts";

const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers that the transport writes itself. */
const ofTransport: ReadonlySet<string> = new Set([
  "accept-encoding",
  "authorization",
  "content-length",
  "expect",
  "host",
]);

function named(header: string | null | undefined): string[] {
  return (header ?? "").split(",").map((name) => name.trim().toLowerCase());
}

/** The headers of a client's request that the registry is to see. */
export function requestHeaders({ headers }: IncomingMessage): Record<string, string> {
  const listed = new Set(named(headers.connection));
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || ofConnection.has(name) || ofTransport.has(name) || listed.has(name)) continue;
    passed[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return passed;
}

/** The headers of the registry's answer that the client is to see, with the proxy's address in them. */
export function responseHeaders(
  { headers }: Response,
  addresses: Addresses,
  asked: URL,
  own: string,
): Record<string, string> {
  const listed = new Set(named(headers.get("Connection")));
  const isDecoded = headers.has("Content-Encoding");
  const passed: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (ofConnection.has(name) || listed.has(name)) continue;
    // The runtime has undone the encoding.
    if (isDecoded && (name === "content-encoding" || name === "content-length")) continue;
    passed[name] = value;
  }
  if (passed.location !== undefined) passed.location = addresses.downstream(passed.location, asked, own);
  if (passed.link !== undefined) {
    passed.link = passed.link.replace(/<([^>]*)>/g, (_, target: string) => {
      return `<${addresses.downstream(target, asked, own)}>`;
    });
  }
  return passed;
}
