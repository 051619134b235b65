/** Answers of the reverse proxy itself. */
import type { Duplex } from "node:stream";
import { errorCatalogue } from "../../oci/errors.ts";
import { commonHeaders } from "../../oci/http.ts";

/** A refusal of the reverse proxy's own. */
export interface Refusal {
  status: number;
  headers: string[];
  body: string;
}

/** The methods that there are at all. */
export const knownMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** An error in the form of distribution-spec. `isLast`: the connection is closed after it. */
export function refusal(status: number, message: string, isLast = false): Refusal {
  const isPassing = status === 503;
  const code = isPassing ? errorCatalogue.UNAVAILABLE.code : errorCatalogue.REQUEST_INVALID.code;
  const body = JSON.stringify({ errors: [{ code, message }] });
  const headers = ["Content-Type", "application/json", "Content-Length", String(Buffer.byteLength(body))];
  headers.push("Cache-Control", "no-store", ...Object.entries(commonHeaders).flat());
  if (isPassing) headers.push("Retry-After", "1");
  if (status === 405) headers.push("Allow", knownMethods);
  if (isLast) headers.push("Connection", "close");
  return { status, headers, body };
}

const reasons: Record<number, string> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** The same as bytes, for a connection on which no request was understood; it is to be closed. */
export function refusalText(status: number, message: string): string {
  const { headers, body } = refusal(status, message, true);
  const lines = headers.flatMap((name, i) => (i % 2 === 0 ? `${name}: ${headers[i + 1]}\r\n` : []));
  return `HTTP/1.1 ${status} ${reasons[status] ?? ""}\r\n${lines.join("")}\r\n${body}`;
}

/** The answer to TLS on a port of plain HTTP, or the other way round: short, and in plain text. */
export function wrongProtocol(isTls: boolean): string {
  const [spoken, asked] = isTls ? ["HTTPS", "HTTP"] : ["HTTP", "HTTPS"];
  return `HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nThis registry speaks ${spoken}, and was asked for ${asked}.\n`;
}

/** The first byte of a TLS handshake. No HTTP method begins with it. */
export const tlsHandshake = 0x16;

/**
 * Sends a last text to a client and closes the connection: the client could leave its side open for ever, and the
 * server has no deadline for it any more.
 */
export function endWith(socket: Duplex, text: string): void {
  socket.end(text, () => socket.destroy());
}

/** The message for each status with which the parser fails. */
export function whyMalformed(code: string | undefined): { status: number; message: string } {
  if (code === "HPE_HEADER_OVERFLOW") return { status: 431, message: "the headers are too large" };
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return { status: 408, message: "the request took too long" };
  return { status: 400, message: "the request is malformed" };
}

/** The message while workerd does not answer. */
export const unavailable = errorCatalogue.UNAVAILABLE.message;
