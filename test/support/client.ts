/** A client of the registry that holds every answer to what all answers have in common. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { configType, content, describe, digestOf, imageManifest, layerType } from "./content.ts";
import { checkByContract } from "./contract.ts";

/** No request takes longer, but for upkeep: a registry never hangs. */
export const deadlineMs = 60_000;

export type Body = Uint8Array | string | ReadableStream<Uint8Array>;
export type RequestOptions = { headers?: Record<string, string>; body?: Body; timeoutMs?: number };
export type ErrorEntry = { code: string; message: string; detail?: unknown };

/** Fetches by a connection of its own: the server may close one that is kept just as it is used again. */
export function fetchOnce(
  url: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(url, { ...init, headers: { ...init.headers, Connection: "close" } });
}

/** An answer, read to its end. */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;

  constructor(status: number, headers: Headers, bytes: Uint8Array) {
    this.status = status;
    this.headers = headers;
    this.bytes = bytes;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** What to show of it where it is not as it should be. To decode a whole blob would take longer than its pull. */
  get beginning(): string {
    return new TextDecoder().decode(this.bytes.subarray(0, 300));
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text);
  }

  header(name: string): string {
    const value = this.headers.get(name);
    assert(value !== null, `there is no ${name}`);
    return value;
  }
}

/** An image as it was pushed. */
export type PushedImage = { digest: string; manifest: Uint8Array; config: string; layers: string[] };

export class Client {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Sends a request. `path` begins with a slash. */
  async send(
    method: string,
    path: string,
    { headers = {}, body, timeoutMs = deadlineMs }: RequestOptions = {},
  ): Promise<Answer> {
    const request = httpRequest(this.url + path, {
      method,
      headers: { "Accept-Encoding": "gzip, br", ...lengthOf(body), ...headers },
      // A connection of its own: the server may close one that is kept just as it is used again.
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    // What breaks before the answer is in `answered`; after it, a refusal has closed the connection.
    request.on("error", () => {});
    if (body instanceof ReadableStream) Readable.from(body).pipe(request);
    else request.end(body);
    const [response] = await answered;
    const bytes = new Uint8Array(await buffer(response));
    const answer = new Answer(response.statusCode ?? 0, headersOf(response), bytes);
    this.check(method, path, answer);
    return answer;
  }

  /** Holds an answer to what all have in common; for a registry that is at its end, there may be others. */
  protected check(method: string, path: string, answer: Answer): void {
    checkAnswer(method, path, answer);
  }

  /** Sends a request that must have this status. */
  async must(status: number, method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const answer = await this.send(method, path, options);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.beginning}`);
    return answer;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("GET", path, { headers });
  }

  /** Opens an upload session; returns its location. */
  async openUpload(repository: string, query = ""): Promise<string> {
    return (await this.must(202, "POST", `/v2/${repository}/blobs/uploads/${query}`)).header("Location");
  }

  /** Sends a chunk to a session; returns its new location. */
  async patch(location: string, body: Body, headers: Record<string, string> = {}): Promise<string> {
    return (await this.must(202, "PATCH", location, { body, headers })).header("Location");
  }

  /** How many bytes an upload has, by its status; one byte and none look the same. */
  async uploadOffset(location: string): Promise<number> {
    const range = (await this.must(204, "GET", location)).header("Range");
    const last = Number(range.slice("0-".length));
    return last === 0 ? 0 : last + 1;
  }

  /** Pushes a blob with one POST; returns its digest. */
  async pushBlob(repository: string, bytes: Uint8Array, digest = digestOf(bytes)): Promise<string> {
    await this.must(201, "POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
    return digest;
  }

  /** Pushes a blob as docker does: one PATCH, then an empty PUT. Returns its digest. */
  async streamBlob(repository: string, bytes: Uint8Array, digest = digestOf(bytes)): Promise<string> {
    const location = await this.patch(await this.openUpload(repository), bytes);
    await this.must(201, "PUT", `${location}?digest=${digest}`);
    return digest;
  }

  putManifest(
    repository: string,
    reference: string,
    manifest: Uint8Array,
    type = imageManifestType,
  ): Promise<Answer> {
    const headers = { "Content-Type": type };
    return this.send("PUT", `/v2/${repository}/manifests/${reference}`, { headers, body: manifest });
  }

  /** Pushes a manifest, which must be taken; returns its digest. */
  async pushManifest(
    repository: string,
    reference: string,
    manifest: Uint8Array,
    type?: string,
  ): Promise<string> {
    const answer = await this.putManifest(repository, reference, manifest, type);
    assert.equal(answer.status, 201, answer.text);
    return answer.header("Docker-Content-Digest");
  }

  /** Pushes an image under a tag; `more` goes into its manifest. */
  async pushImage(
    repository: string,
    tag: string,
    layers: Uint8Array[] = [content()],
    more: object = {},
  ): Promise<PushedImage> {
    const config = content();
    await Promise.all([config, ...layers].map((bytes) => this.pushBlob(repository, bytes)));
    const layerDescriptors = layers.map((bytes) => describe(bytes, layerType));
    const manifest = imageManifest(describe(config, configType), layerDescriptors, more);
    const digest = await this.pushManifest(repository, tag, manifest);
    return { digest, manifest, config: digestOf(config), layers: layers.map((bytes) => digestOf(bytes)) };
  }

  /** Pulls an image by tag, and checks every byte against its digest. */
  async pullImage(repository: string, tag: string, image: PushedImage): Promise<void> {
    const manifest = await this.must(200, "GET", `/v2/${repository}/manifests/${tag}`);
    assert.equal(digestOf(manifest.bytes), image.digest);
    for (const digest of [image.config, ...image.layers]) {
      const blob = await this.must(200, "GET", `/v2/${repository}/blobs/${digest}`);
      assert.equal(digestOf(blob.bytes), digest);
    }
  }
}

/** A body that is not a stream has a length, be it none. */
function lengthOf(body: Body | undefined): Record<string, number> {
  if (body instanceof ReadableStream) return {};
  return { "Content-Length": body === undefined ? 0 : Buffer.byteLength(body) };
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
  }
  return headers;
}

/** What every answer of the registry must be like. */
export function checkAnswer(
  method: string,
  path: string,
  { status, headers, bytes, beginning }: Answer,
): void {
  const what = `${method} ${path}: ${status} ${beginning}`;
  assert.notEqual(status, 500, what);
  assert.equal(headers.get("Docker-Distribution-Api-Version"), "registry/2.0", what);
  assert.match(headers.get("X-Request-Id") ?? "", /^[0-9a-f-]{36}$/, what);
  assert.match(headers.get("Cache-Control") ?? "", /\bno-transform$/, what);
  const length = headers.get("Content-Length");
  if (status === 204 || status === 304) assert.equal(length, null, what);
  else if (method !== "HEAD") assert.equal(length, String(bytes.byteLength), what);
  else assert.match(length ?? "", /^\d+$/, what);
  if (path.startsWith("/api/")) checkByContract(method, path, status, new TextDecoder().decode(bytes));
  if (status < 400 || method === "HEAD") return;
  if (path.startsWith("/api/")) checkProblem(headers, bytes, what);
  else checkErrorBody(headers, bytes, what);
}

function checkProblem(headers: Headers, bytes: Uint8Array, what: string): void {
  assert.equal(headers.get("Content-Type"), "application/problem+json", what);
  const { title, detail, code } = JSON.parse(new TextDecoder().decode(bytes));
  assert.equal(typeof title, "string", what);
  assert(detail === undefined || typeof detail === "string", what);
  assert.match(code, /^[A-Z_]+$/, what);
}

function checkErrorBody(headers: Headers, bytes: Uint8Array, what: string): void {
  assert.equal(headers.get("Content-Type"), "application/json", what);
  const { errors }: { errors: ErrorEntry[] } = JSON.parse(new TextDecoder().decode(bytes));
  assert(errors.length > 0, what);
  for (const { code, message } of errors) {
    assert.match(code, /^[A-Z_]+$/, what);
    assert.equal(typeof message, "string", what);
  }
}

/** Checks that an answer is this error; returns its entry. */
export function expectError(answer: Answer, status: number, code: string): ErrorEntry {
  assert.equal(answer.status, status, answer.text);
  const [error] = answer.json<{ errors: ErrorEntry[] }>().errors;
  assert.equal(error?.code, code, answer.text);
  return error as ErrorEntry;
}
