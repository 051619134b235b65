/** The client of a registry: node:http and nothing else, so that what is measured is the server. */
import { once } from "node:events";
import { type Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { download } from "./download.ts";
import type { Payload } from "./payload.ts";
import { credentialOf, type Target } from "./target.ts";

const imageManifestType = "application/vnd.oci.image.manifest.v1+json";

type Sending = {
  headers?: Record<string, string>;
  blocks?: Iterable<Buffer>;
  /** Connections to send on; without, each request makes its own. */
  agent?: Agent;
};

/**
 * Sends a request, its body chunked unless its length is among the headers, and reads the answer to its end.
 *
 * @returns headers and length of the answer; throws if its status is another
 */
async function send(
  url: URL,
  method: string,
  status: number,
  { headers = {}, blocks = [], agent }: Sending = {},
): Promise<{ headers: IncomingMessage["headers"]; receivedBytes: number }> {
  const request = httpRequest(url.href, { agent: agent ?? false, method, headers });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  answered.catch(() => {});
  request.on("error", () => {});
  for (const block of blocks) {
    if (!request.write(block)) await Promise.race([once(request, "drain"), answered]);
  }
  request.end();
  const [response] = await answered;
  let receivedBytes = 0;
  let text = "";
  for await (const piece of response as AsyncIterable<Buffer>) {
    receivedBytes += piece.byteLength;
    if (response.statusCode !== status) text += piece.toString();
  }
  if (response.statusCode !== status) throw new Error(`${method} ${url}: ${response.statusCode} ${text}`);
  return { headers: response.headers, receivedBytes };
}

const empty = { "Content-Length": "0" };

async function openUpload(target: Target, repository: string, agent?: Agent): Promise<URL> {
  const url = new URL(`/v2/${repository}/blobs/uploads/`, target.url);
  const sending = { headers: { ...credentialOf(target), ...empty }, ...(agent && { agent }) };
  const { headers } = await send(url, "POST", 202, sending);
  return new URL(String(headers.location), target.url);
}

function closing(location: URL, { digest }: Payload): URL {
  location.searchParams.set("digest", digest);
  return location;
}

/** Pushes a blob as docker does: POST, one PATCH of unknown length, PUT. */
export async function pushStreamed(target: Target, repository: string, payload: Payload): Promise<void> {
  const shown = credentialOf(target);
  const opened = await openUpload(target, repository);
  const patched = await send(opened, "PATCH", 202, {
    headers: { ...shown, "Content-Type": "application/octet-stream" },
    blocks: payload.blocks(),
  });
  const location = new URL(String(patched.headers.location), target.url);
  await send(closing(location, payload), "PUT", 201, { headers: { ...shown, ...empty } });
}

/** Pushes a blob as containerd does: POST, one PUT with all of it. */
export async function pushWhole(
  target: Target,
  repository: string,
  payload: Payload,
  agent?: Agent,
): Promise<void> {
  const location = await openUpload(target, repository, agent);
  await send(closing(location, payload), "PUT", 201, {
    headers: {
      ...credentialOf(target),
      "Content-Type": "application/octet-stream",
      "Content-Length": String(payload.sizeBytes),
    },
    blocks: payload.blocks(),
    ...(agent && { agent }),
  });
}

/** Pulls a blob, and holds it to its length. */
export async function pullBlob(target: Target, repository: string, payload: Payload): Promise<void> {
  const url = new URL(`/v2/${repository}/blobs/${payload.digest}`, target.url);
  const receivedBytes = await download(url, credentialOf(target));
  if (receivedBytes !== payload.sizeBytes) throw new Error(`${url}: ${receivedBytes} bytes`);
}

/** Pushes a manifest under a tag or its digest. */
export async function pushManifest(
  target: Target,
  repository: string,
  reference: string,
  manifest: Buffer,
): Promise<void> {
  const url = new URL(`/v2/${repository}/manifests/${reference}`, target.url);
  await send(url, "PUT", 201, {
    headers: {
      ...credentialOf(target),
      "Content-Type": imageManifestType,
      "Content-Length": String(manifest.byteLength),
    },
    blocks: [manifest],
  });
}

/** Pulls a manifest. */
export async function pullManifest(target: Target, repository: string, reference: string): Promise<void> {
  const url = new URL(`/v2/${repository}/manifests/${reference}`, target.url);
  await send(url, "GET", 200, { headers: { ...credentialOf(target), Accept: imageManifestType } });
}

/** Writes the same bytes with one streamed `put` of a bare Worker. */
export async function putBare(base: string, payload: Payload): Promise<void> {
  const headers = { "X-Bench-Length": String(payload.sizeBytes) };
  await send(bareUrl(base, "put", payload), "PUT", 201, { headers, blocks: payload.blocks() });
}

/** Writes the same bytes with a bare Durable Object, in parts of 5 MiB. */
export async function putBareParts(base: string, payload: Payload): Promise<void> {
  await send(bareUrl(base, "parts", payload), "PUT", 201, { blocks: payload.blocks() });
}

/** Reads back what {@link putBare} wrote. */
export async function getBare(base: string, payload: Payload): Promise<void> {
  await send(bareUrl(base, "get", payload), "GET", 200);
}

function bareUrl(base: string, kind: "put" | "parts" | "get", { digest }: Payload): URL {
  return new URL(`/bench/${kind}/${digest.slice("sha256:".length)}`, base);
}

/** The smallest request there is. */
export async function ping(base: string): Promise<void> {
  await send(new URL("/v2/", base), "GET", 200);
}
