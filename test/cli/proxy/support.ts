/** A proxy inside the test, and requests to it. */
import { once } from "node:events";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { Layers } from "../../../src/cli/layers.ts";
import { Addresses } from "../../../src/cli/proxy/addresses.ts";
import { ChunkBuffers } from "../../../src/cli/proxy/buffers.ts";
import { KnownUploads } from "../../../src/cli/proxy/known-uploads.ts";
import { RegistryProxy } from "../../../src/cli/proxy/proxy.ts";
import { listen } from "../../../src/cli/proxy/server.ts";
import type { Credential } from "../../../src/client/credentials.ts";
import { systemFetch } from "../../../src/client/node.ts";
import { Transport } from "../../../src/client/transport.ts";
import { after } from "../../support/ends-of-files.ts";
import { TestTiming } from "../../unit/client/fake-registry.ts";

/** What a proxy is started with. */
export type ProxySettings = { chunkBytes?: number; credential?: Credential; isRemote?: boolean };

/** A running proxy. `said`: what people at it were told. */
export type TestProxy = { host: string; buffers: ChunkBuffers; timing: TestTiming; said: string[] };

/** Starts a proxy that ends after the tests of the file, with a clock of its own. */
export async function startProxy(
  registry: URL,
  { chunkBytes = 1000, credential, isRemote = false }: ProxySettings = {},
): Promise<TestProxy> {
  const timing = new TestTiming();
  const said: string[] = [];
  const stream = new Writable({
    write(text, _, done) {
      said.push(String(text));
      done();
    },
  });
  const buffers = new ChunkBuffers(chunkBytes);
  const proxy = new RegistryProxy({
    transport: new Transport({ registry, timing, fetch: systemFetch(), credentials: async () => credential }),
    buffers,
    known: new KnownUploads(),
    layers: new Layers(stream),
    note: (message) => said.push(message),
    addresses: new Addresses(registry),
    hasCredentials: credential !== undefined,
    isRemote,
    scheme: "http",
  });
  const port = await listen((request, response) => void proxy.handle(request, response), {
    host: "127.0.0.1",
    port: 0,
  });
  after(() => port.close());
  return { host: port.host, buffers, timing, said };
}

/** An answer of the proxy. */
export type ProxyAnswer = {
  status: number;
  headers: IncomingMessage["headers"];
  bytes: Buffer;
  text: string;
};

/** What is sent. `pieces`: a body without a length. */
export type Sending = { headers?: Record<string, string>; body?: Uint8Array; pieces?: Uint8Array[] };

/** Begins a request; `target` is a path, or an address that the proxy gave. */
export function begin(
  host: string,
  method: string,
  target: string,
  headers: Record<string, string> = {},
): ClientRequest {
  const { pathname, search } = new URL(target, `http://${host}`);
  const [hostname, port] = host.split(":");
  // A body without a length has no `Content-Length`, also where Node would know it.
  return httpRequest({ hostname, port, method, path: pathname + search, headers, agent: false });
}

/** Sends a request, and reads the answer. */
export async function send(
  host: string,
  method: string,
  target: string,
  { headers, body, pieces }: Sending = {},
): Promise<ProxyAnswer> {
  const length: Record<string, string> =
    body === undefined ? {} : { "Content-Length": String(body.byteLength) };
  const request = begin(host, method, target, { ...length, ...headers });
  request.on("error", () => {});
  const answered = once(request, "response");
  for (const piece of pieces ?? []) request.write(piece);
  request.end(body);
  return await read((await answered)[0]);
}

/** Reads an answer to its end. */
export async function read(response: IncomingMessage): Promise<ProxyAnswer> {
  const bytes = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, bytes, text: bytes.toString() };
}
