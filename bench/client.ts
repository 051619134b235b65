/** The pushing client: node:http and nothing else, so that what is measured is the server. */
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Payload } from "./payload.ts";

/** Sends a request, its body chunked, and returns the headers of the answer. Throws if its status is another. */
async function send(
  url: URL,
  method: string,
  status: number,
  { headers = {}, blocks = [] }: { headers?: Record<string, string>; blocks?: Iterable<Buffer> } = {},
): Promise<IncomingMessage["headers"]> {
  const request = httpRequest(url.href, { agent: false, method, headers });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  answered.catch(() => {});
  request.on("error", () => {});
  for (const block of blocks) {
    if (!request.write(block)) await Promise.race([once(request, "drain"), answered]);
  }
  request.end();
  const [response] = await answered;
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece;
  if (response.statusCode !== status) throw new Error(`${method} ${url}: ${response.statusCode} ${text}`);
  return response.headers;
}

/** Pushes a blob as docker does: POST, one PATCH of unknown length, PUT. */
export async function pushStreamed(base: string, repository: string, payload: Payload): Promise<void> {
  const next = (headers: IncomingMessage["headers"]) => new URL(String(headers.location), base);
  const empty = { headers: { "Content-Length": "0" } };
  const opened = await send(new URL(`/v2/${repository}/blobs/uploads/`, base), "POST", 202, empty);
  const patched = await send(next(opened), "PATCH", 202, { blocks: payload.blocks() });
  const closing = next(patched);
  closing.searchParams.set("digest", payload.digest);
  await send(closing, "PUT", 201, empty);
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

function bareUrl(base: string, kind: "put" | "parts", { digest }: Payload): URL {
  return new URL(`/bench/${kind}/${digest.slice("sha256:".length)}`, base);
}

/** The smallest request there is. */
export async function ping(base: string): Promise<void> {
  await send(new URL("/v2/", base), "GET", 200);
}
