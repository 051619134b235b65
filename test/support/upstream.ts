/** A registry on loopback that has what tests give it, counts what it is asked, and misbehaves as they say. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { configType, content, describe, digestOf, encode, imageManifest, layerType } from "./content.ts";
import { after } from "./ends-of-files.ts";

/** A request as the upstream saw it. */
export type Seen = { method: string; path: string; headers: IncomingMessage["headers"] };

/** Answers a request in place of the registry; what it throws ends the connection. */
export type Script = (seen: Seen, response: ServerResponse) => void | Promise<void>;

type Manifest = { bytes: Uint8Array; mediaType: string };

/** An image that the upstream has. */
export type UpstreamImage = { digest: string; manifest: Uint8Array; config: string; layers: Uint8Array[] };

/** The upstream. */
export class ScriptedUpstream {
  url = "";
  readonly seen: Seen[] = [];
  readonly #manifests = new Map<string, Manifest>();
  readonly #blobs = new Map<string, Uint8Array>();
  #scripts: { method: string; path: RegExp; times: number; script: Script }[] = [];
  /** Sends blobs in pieces with this much time between them; a change applies to those that it is sending. */
  pace: { bytes: number; ms: number } | undefined;

  /** Starts one that ends after the tests of the file. */
  static async start(): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream();
    const server = createServer(async (request, response) => {
      const { method = "", url = "", headers } = request;
      const one = { method, path: url, headers };
      upstream.seen.push(one);
      try {
        await upstream.#answer(one, response);
      } catch {
        request.socket.destroy();
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    return upstream;
  }

  /** What of it `UPSTREAMS` has, as an upstream at a private address. */
  settings(more: object = {}): string {
    const entry = {
      id: "up",
      url: this.url,
      private: true,
      insecure: true,
      aliases: ["up.example"],
      ...more,
    };
    return JSON.stringify([entry]);
  }

  /** Has the next requests of a method whose path matches answered by a script: one, or more if told. */
  script(method: string, path: RegExp, script: Script, times = 1): void {
    this.#scripts.push({ method, path, times, script });
  }

  /** Forgets scripts that were not used up. */
  unscript(): void {
    this.#scripts = [];
  }

  /** How many requests of a method had a path that matches, of those that it has seen since {@link forget}. */
  count(method: string, path: RegExp): number {
    return this.seen.filter((each) => each.method === method && path.test(each.path)).length;
  }

  forget(): void {
    this.seen.length = 0;
  }

  addBlob(name: string, bytes: Uint8Array): string {
    const digest = digestOf(bytes);
    this.#blobs.set(`${name}@${digest}`, bytes);
    return digest;
  }

  addManifest(name: string, bytes: Uint8Array, mediaType = imageManifestType, ...tags: string[]): string {
    const digest = digestOf(bytes);
    for (const reference of [digest, ...tags])
      this.#manifests.set(`${name}:${reference}`, { bytes, mediaType });
    return digest;
  }

  addIndex(name: string, images: UpstreamImage[], ...tags: string[]): string {
    const manifests = images.map(({ manifest }, index) =>
      describe(manifest, imageManifestType, { platform: { os: "linux", architecture: `a${index}` } }),
    );
    const bytes = encode({ schemaVersion: 2, mediaType: imageIndexType, manifests });
    return this.addManifest(name, bytes, imageIndexType, ...tags);
  }

  /** Adds an image of layers of these sizes under tags. */
  addImage(name: string, sizes: number[] = [1000], ...tags: string[]): UpstreamImage {
    const config = content();
    const layers = sizes.map((size) => content(size));
    for (const bytes of [config, ...layers]) this.addBlob(name, bytes);
    const described = layers.map((bytes) => describe(bytes, layerType));
    const manifest = imageManifest(describe(config, configType), described);
    const digest = this.addManifest(name, manifest, imageManifestType, ...tags);
    return { digest, manifest, config: digestOf(config), layers };
  }

  remove(name: string, reference: string): void {
    this.#manifests.delete(`${name}:${reference}`);
    this.#blobs.delete(`${name}@${reference}`);
  }

  async #answer(seen: Seen, response: ServerResponse): Promise<void> {
    const scripted = this.#scripts.find(
      ({ method, path, times }) => times > 0 && method === seen.method && path.test(seen.path),
    );
    if (scripted !== undefined) {
      scripted.times--;
      return scripted.script(seen, response);
    }
    const [, name = "", kind, reference = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^?]+)/.exec(decodeURIComponent(seen.path)) ?? [];
    if (seen.path === "/v2/") return end(response, 200, {}, "{}");
    const manifest = kind === "manifests" ? this.#manifests.get(`${name}:${reference}`) : undefined;
    if (manifest !== undefined) return sendManifest(seen, response, manifest);
    const blob = kind === "blobs" ? this.#blobs.get(`${name}@${reference}`) : undefined;
    if (blob !== undefined) return this.sendBlob(seen, response, blob);
    const code = kind === "blobs" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN";
    end(response, 404, {}, JSON.stringify({ errors: [{ code, message: "not here" }] }));
  }

  /** Answers with a blob, or the range of it that is asked for. */
  async sendBlob(
    { method, headers }: Pick<Seen, "method" | "headers">,
    response: ServerResponse,
    bytes: Uint8Array,
  ): Promise<void> {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    const from = Number(first ?? 0);
    const to = last ? Math.min(Number(last) + 1, bytes.byteLength) : bytes.byteLength;
    const isPart = first !== undefined;
    response.writeHead(isPart ? 206 : 200, {
      "Content-Type": "application/octet-stream",
      "Content-Length": to - from,
      "Docker-Content-Digest": digestOf(bytes),
      ...(isPart ? { "Content-Range": `bytes ${from}-${to - 1}/${bytes.byteLength}` } : {}),
    });
    if (method === "HEAD") response.end();
    else await this.sendPieces(response, bytes.subarray(from, to));
  }

  /** Sends bytes at the upstream's pace, and ends the answer. */
  async sendPieces(response: ServerResponse, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength && !response.destroyed; ) {
      const { bytes: piece, ms } = this.pace ?? { bytes: bytes.byteLength, ms: 0 };
      if (at > 0 && ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      response.write(bytes.subarray(at, at + piece));
      at += piece;
    }
    response.end();
  }
}

/** Answers with a status, headers and a body. */
export function end(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body: string | Uint8Array = "",
): void {
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers });
  response.end(body);
}

function sendManifest({ method }: Seen, response: ServerResponse, { bytes, mediaType }: Manifest): void {
  response.writeHead(200, {
    "Content-Type": mediaType,
    "Content-Length": bytes.byteLength,
    "Docker-Content-Digest": digestOf(bytes),
  });
  response.end(method === "HEAD" ? undefined : bytes);
}
