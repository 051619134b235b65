/**
 * Writes the head of a request for workerd. It is written anew, so that workerd and the reverse proxy see the same
 * request: nothing that the two could read differently is passed on.
 *
 * Sources: RFC 9110, 7.2, 7.6.1, 9.3.7, 10.1.1; RFC 9112, 3.2, 6.1.
 */
import type { IncomingMessage } from "node:http";
import { filesHeader, secretHeader } from "../../machine.ts";
import { parseOrigin } from "../../oci/address.ts";
import type { Rejection, Result } from "../../oci/errors.ts";
import { clientAddress } from "./client-address.ts";

/** The header that carries the client's address to the Worker. A client's own value is dropped. */
export const addressHeader = "Stowage-Client-Address";

/** How the end of a body is recognised. */
export type Framing = "none" | "length" | "chunked";

type RefusedHead = 400 | 417 | 431 | 501 | 505;

/** A head for workerd, or the reason for a refusal: a status and a message. */
export type RequestHead = Result<
  { text: string; framing: Framing; path: string },
  Rejection & { status: RefusedHead }
>;

/** Facts about the connection. */
export type HeadOptions = { trustForwarded: boolean; secret: string | undefined };

/** The parser bounds the bytes of names and values, of which there may be thousands. Clients send some twenty. */
const mostHeaders = 200;

/** Headers that concern only the client and the reverse proxy, or that are written anew. */
const dropped = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "host",
  "content-length",
  "http2-settings",
  addressHeader.toLowerCase(),
  secretHeader.toLowerCase(),
  filesHeader.toLowerCase(),
]);

const refused = (status: RefusedHead, reason: string): RequestHead => ({ ok: false, status, reason });

/**
 * Checks a head that Node's parser has let through, and writes it for workerd.
 *
 * @param takesFiles whether the answer may name files
 */
export function requestHead(
  request: IncomingMessage,
  { trustForwarded, secret }: HeadOptions,
  takesFiles: boolean,
): RequestHead {
  const { rawHeaders, httpVersion, method = "" } = request;
  if (httpVersion !== "1.1" && httpVersion !== "1.0")
    return refused(505, "the version of HTTP is not supported");
  if (rawHeaders.length > 2 * mostHeaders) return refused(431, "there are too many headers");
  let hosts = 0;
  let host: string | undefined;
  let length: string | undefined;
  let encoding: string | undefined;
  let expectation: string | undefined;
  let connection = "";
  let forwardedFor: string | undefined;
  let fields = "";
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    const value = rawHeaders[i + 1] ?? "";
    const lower = name.toLowerCase();
    if (!dropped.has(lower)) {
      fields += `${name}: ${value}\r\n`;
      if (lower === "x-forwarded-for") forwardedFor = value;
    } else if (lower === "host") {
      host = value;
      hosts++;
    } else if (lower === "content-length") length = value;
    else if (lower === "transfer-encoding")
      encoding = encoding === undefined ? value : `${encoding}, ${value}`;
    else if (lower === "expect" && value.toLowerCase() !== "100-continue") expectation = value;
    else if (lower === "connection") connection += `,${value}`;
  }
  if (hosts > 1) return refused(400, "there is more than one Host header");
  // HTTP/1.0 has no expectations.
  if (expectation !== undefined && httpVersion === "1.1")
    return refused(417, "the only Expect is 100-continue");
  const target = splitTarget(method, request.url ?? "");
  if (target === undefined) return refused(400, "the request's target is malformed");
  // HTTP/1.0 has no Host: the client means the server that it has connected to.
  host ??= httpVersion === "1.0" ? ownHost(request) : undefined;
  if (host === undefined) return refused(400, "the Host header is missing");
  if (!isHost(host)) return refused(400, "the Host header is malformed");
  if (target.authority !== undefined) {
    host = target.authority;
    if (!isHost(host)) return refused(400, "the request's target is malformed");
  }
  const framing = framingOf(httpVersion, length, encoding);
  if (framing === undefined) {
    return httpVersion === "1.0"
      ? refused(400, "HTTP/1.0 has no Transfer-Encoding")
      : refused(501, "the only Transfer-Encoding is chunked");
  }
  if (connection !== "" && !/^,(?:keep-alive|close)$/i.test(connection)) fields = without(connection, fields);
  const body =
    framing === "chunked"
      ? "Transfer-Encoding: chunked\r\n"
      : framing === "length"
        ? `Content-Length: ${length}\r\n`
        : "";
  const address = clientAddress(request.socket.remoteAddress, trustForwarded ? forwardedFor : undefined);
  if (secret !== undefined) fields += `${secretHeader}: ${secret}\r\n`;
  if (takesFiles) fields += `${filesHeader}: yes\r\n`;
  const text = `${method} ${target.path} HTTP/1.1\r\nHost: ${host}\r\n${body}${addressHeader}: ${address}\r\n${fields}\r\n`;
  return { ok: true, text, framing, path: target.path };
}

/** The last valid host: clients use few, and parsing a URL takes as long as the rest of a head. */
let lastHost = "";

function isHost(text: string): boolean {
  if (text === lastHost) return true;
  if (parseOrigin(`http://${text}`) === undefined) return false;
  lastHost = text;
  return true;
}

/** RFC 9112, 3.2: the origin form; the absolute form, whose authority replaces `Host`; or `*`, for the server itself. */
function splitTarget(
  method: string,
  url: string,
): { authority: string | undefined; path: string } | undefined {
  if (method === "OPTIONS" && url === "*") return { authority: undefined, path: url };
  // A fragment is not part of a target.
  if (url.includes("#")) return undefined;
  if (url.startsWith("/")) return { authority: undefined, path: url };
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(url);
  if (absolute === null) return undefined;
  const [, authority, path = ""] = absolute;
  return { authority, path: path.startsWith("/") ? path : `/${path}` };
}

function framingOf(
  version: string,
  length: string | undefined,
  encoding: string | undefined,
): Framing | undefined {
  if (encoding === undefined) return length === undefined ? "none" : "length";
  return version === "1.1" && encoding.toLowerCase() === "chunked" ? "chunked" : undefined;
}

function ownHost({ socket }: IncomingMessage): string {
  const { localAddress = "127.0.0.1", localPort } = socket;
  const address = localAddress.replace(/^::ffff:(?=\d+\.)/, "");
  return `${address.includes(":") ? `[${address.replace(/%.*$/, "")}]` : address}:${localPort}`;
}

/** Leaves out the fields that `Connection` names: they were meant for the reverse proxy alone. */
function without(connection: string, fields: string): string {
  const named = new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
  return fields
    .split("\r\n")
    .filter((line) => line === "" || !named.has(line.slice(0, line.indexOf(":")).toLowerCase()))
    .join("\r\n");
}
