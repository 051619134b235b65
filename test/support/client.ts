/** A client of the registry that holds every answer to what all answers have in common. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { Answer, checkAnswer } from "./answer.ts";
import { configType, content, describe, digestOf, imageManifest, layerType } from "./content.ts";

/** No request takes longer, but for upkeep: a registry never hangs. */
export const deadlineMs = 60_000;

export type Body = Uint8Array | string | ReadableStream<Uint8Array>;

/** Who asks: a user with a password, or the bearer of a token. */
export type Credential = { name: string; password: string } | string;

/** What a request has besides its method and path: one body, as it is, as JSON, or as the fields of a form. */
export type RequestOptions = {
  /** Who asks, if it is not whom the client is for. */
  as?: Credential | undefined;
  headers?: Record<string, string>;
  body?: Body;
  json?: unknown;
  form?: [name: string, value: string][];
  timeoutMs?: number;
};

/** What `/token` answers. */
export type TokenAnswer = {
  token: string;
  access_token: string;
  expires_in: number;
  issued_at: string;
  refresh_token?: string;
  scope?: string;
};

/** Fetches by a connection of its own: the server may close one that is kept just as it is used again. */
export function fetchOnce(
  url: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(url, { ...init, headers: { ...init.headers, Connection: "close" } });
}

/** An image as it was pushed. */
export type PushedImage = { digest: string; manifest: Uint8Array; config: string; layers: string[] };

/** A client of a registry: of whom it is told to be, and otherwise of nobody. */
export class Client {
  readonly url: string;
  /** What was shown to the registry or came from it, and must be in none of its logs. */
  readonly secrets: Set<string>;
  readonly #credential: Credential | undefined;

  constructor(url: string, credential?: Credential, secrets = new Set<string>()) {
    this.url = url;
    this.#credential = credential;
    this.secrets = secrets;
  }

  /** A client of the same registry that is somebody else. */
  as(credential: Credential | undefined): Client {
    return new Client(this.url, credential, this.secrets);
  }

  /** Sends a request. `path` begins with a slash. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { as = this.#credential, timeoutMs = deadlineMs } = options;
    if (as !== undefined) this.secrets.add(typeof as === "string" ? as : as.password);
    const { body, type } = bodyOf(options);
    const request = httpRequest(this.url + path, {
      method,
      headers: {
        "Accept-Encoding": "gzip, br",
        ...lengthOf(body),
        ...(type === undefined ? {} : { "Content-Type": type }),
        ...(as === undefined ? {} : { Authorization: authorization(as) }),
        ...options.headers,
      },
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
  async pushBlob(repository: string, bytes = content(), digest = digestOf(bytes)): Promise<string> {
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

  /** Asks `/token` for scopes; `more` goes into the query, and begins with `&`. */
  async askToken(scopes: string[], more = ""): Promise<TokenAnswer> {
    const query = new URLSearchParams(scopes.map((scope) => ["scope", scope]));
    const answer = await this.must(200, "GET", `/token?service=stowage&${query}${more}`);
    const issued = answer.json<TokenAnswer>();
    this.secrets.add(issued.token);
    if (issued.refresh_token !== undefined) this.secrets.add(issued.refresh_token);
    return issued;
  }

  /** A bearer token for scopes, some of which may not be granted. */
  async bearer(...scopes: string[]): Promise<string> {
    return (await this.askToken(scopes)).token;
  }
}

/** The value of `Authorization` by which a user shows a password. */
export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

export function authorization(as: Credential): string {
  return typeof as === "string" ? `Bearer ${as}` : basic(as.name, as.password);
}

/** The body that options say, and the type that it has if no header says another. */
function bodyOf({ body, json, form }: RequestOptions): { body?: Body | undefined; type?: string } {
  if (json !== undefined) return { body: JSON.stringify(json), type: "application/json" };
  if (form === undefined) return { body };
  return { body: String(new URLSearchParams(form)), type: "application/x-www-form-urlencoded" };
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
