/**
 * `fetch` as Node and Deno have it, prepared for large bodies, and told whom to trust. What is here is for those
 * runtimes alone; a Worker uses its own `fetch` as it is.
 */
import http from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import tls from "node:tls";
import { RegistryError } from "./errors.ts";
import type { Fetch } from "./exchange.ts";

/** Smaller bodies are copied without harm. */
const sentWholeFromBytes = 256 * 1024;
/** How long nothing may be sent or received; as long as Node's `fetch` waits for an answer. */
const silenceMs = 300_000;

/** What connections over TLS trust. `ca`: certificates in PEM, beside those that the runtime has. */
export type TlsOptions = { ca?: string | undefined };

type Deno = { createHttpClient(options: { caCerts: string[] }): object };

const deno = (globalThis as { Deno?: Deno }).Deno;

/**
 * Makes a `fetch` for this process. In Node, the certificates count for all that it connects to from then on.
 *
 * @throws RegistryError if there are certificates, and this Node cannot be told of them
 */
export function systemFetch({ ca }: TlsOptions = {}): Fetch {
  if (deno !== undefined) {
    const more = ca === undefined ? {} : { client: deno.createHttpClient({ caCerts: [ca] }) };
    return (url, init) => fetch(url, { ...init, ...more });
  }
  if (ca !== undefined) trust(ca);
  return (url, init) => {
    const { body } = init;
    const isLarge = body instanceof Uint8Array && body.byteLength >= sentWholeFromBytes;
    return isLarge ? sendWhole(url, init, body) : fetch(url, init);
  };
}

function trust(ca: string): void {
  // Node has it since 22.19.
  if (!("setDefaultCACertificates" in tls)) {
    throw new RegistryError(
      "unreachable",
      "this Node takes no more certificates while it runs: name their file in NODE_EXTRA_CA_CERTS instead of --ca",
    );
  }
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), ca]);
}

/**
 * Sends a large body as it lies in memory. Node's `fetch` would copy it first, or as a stream take three times as much of
 * the processor; and its sending would count as silence, so that a chunk on a slow line would end before its time.
 */
async function sendWhole(url: URL, { method, headers, signal }: RequestInit, body: Uint8Array) {
  const { request } = url.protocol === "https:" ? https : http;
  const all = { ...(headers as Record<string, string>), "Content-Length": String(body.byteLength) };
  return await new Promise<Response>((resolve, reject) => {
    const sent = request(url.href, { method, headers: all, signal: signal ?? undefined, timeout: silenceMs });
    sent.once("timeout", () => sent.destroy(new Error(`nothing happened for ${silenceMs / 1000} s`)));
    // An error may also follow the answer, where a server refuses a body before its end.
    sent.on("error", reject);
    sent.once("response", (answer) => resolve(responseOf(answer)));
    sent.end(body);
  });
}

function responseOf(answer: http.IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = answer;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  const hasBody = status !== 204 && status !== 205 && status !== 304;
  if (!hasBody) answer.resume();
  return new Response(hasBody ? (Readable.toWeb(answer) as unknown as ReadableStream) : null, {
    status,
    headers,
  });
}
