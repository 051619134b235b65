/** What is pushed and pulled, over HTTP: the part of the distribution API that backups need. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { CommandError } from "./command.ts";
import type { Connection } from "./connection.ts";

/** How much of a blob is sent in one request: proxies bound the size of a body. */
const pieceBytes = 8 * 1024 * 1024;

/** The content of repositories. Every failure is a {@link CommandError} that says what was wrong. */
export class Content {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A manifest's or blob's bytes as a stream; `undefined` where the repository does not have it. */
  async open(
    repository: string,
    kind: "manifests" | "blobs",
    digest: string,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    const response = await this.#send("GET", `v2/${repository}/${kind}/${digest}`, [200, 404]);
    if (response.status === 200) return response.body ?? undefined;
    await response.body?.cancel();
    return undefined;
  }

  /** Pushes a blob, unless it is there; `from`: a repository that may have it. Returns whether it was sent. */
  async pushBlob(
    repository: string,
    digest: string,
    file: string,
    from: string | undefined,
  ): Promise<boolean> {
    const head = await this.#send("HEAD", `v2/${repository}/blobs/${digest}`, [200, 404]);
    if (head.status === 200) return false;
    const query = from === undefined ? "" : `?${new URLSearchParams({ mount: digest, from })}`;
    const opened = await this.#send("POST", `v2/${repository}/blobs/uploads/${query}`, [201, 202]);
    if (opened.status === 201) return false;
    await this.#upload(this.#location(opened), digest, file);
    return true;
  }

  /** Pushes a blob, whether it is there or not: what is there may be damaged. */
  async replaceBlob(repository: string, digest: string, file: string): Promise<void> {
    const opened = await this.#send("POST", `v2/${repository}/blobs/uploads/`, [202]);
    await this.#upload(this.#location(opened), digest, file);
  }

  async #upload(location: URL, digest: string, file: string): Promise<void> {
    const { size } = await stat(file);
    let next = location;
    let rest: Uint8Array = new Uint8Array();
    for (let start = 0; start < size; start += pieceBytes) {
      rest = await readPiece(file, start);
      if (start + pieceBytes >= size) break;
      const headers = { "Content-Range": `${start}-${start + rest.byteLength - 1}` };
      next = this.#location(await this.#send("PATCH", next, [202], { headers, body: rest }));
    }
    next.searchParams.set("digest", digest);
    await this.#send("PUT", next, [201], { body: rest });
  }

  /** Pushes a manifest, and points tags at it. */
  async pushManifest(
    repository: string,
    digest: string,
    mediaType: string,
    body: Uint8Array,
    tags: string[],
  ): Promise<void> {
    const query = new URLSearchParams(tags.map((tag) => ["tag", tag]));
    const headers = { "Content-Type": mediaType };
    await this.#send("PUT", `v2/${repository}/manifests/${digest}?${query}`, [201], { headers, body });
  }

  #location({ headers }: Response): URL {
    return this.#connection.resolve(headers.get("Location") ?? "");
  }

  async #send(
    method: string,
    target: string | URL,
    expected: number[],
    more: { headers?: Record<string, string>; body?: Uint8Array } = {},
  ): Promise<Response> {
    const url = target instanceof URL ? target : this.#connection.resolve(target);
    const response = await this.#connection.send(url, { method, ...more });
    if (!expected.includes(response.status)) throw await refusalOf(method, url, response);
    // An answer that is not read keeps its connection.
    if (method !== "GET") await response.body?.cancel();
    return response;
  }
}

async function readPiece(file: string, start: number): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(file, { start, end: start + pieceBytes - 1 }))
    pieces.push(piece);
  return Buffer.concat(pieces);
}

/** distribution-spec: Error Codes. */
async function refusalOf(method: string, url: URL, response: Response): Promise<CommandError> {
  const text = await response.text().catch(() => "");
  let reason = `status ${response.status}`;
  try {
    const { errors } = JSON.parse(text) as { errors: { message: string; detail?: unknown }[] };
    reason = errors
      .map(({ message, detail }) =>
        detail === undefined ? message : `${message}: ${JSON.stringify(detail)}`,
      )
      .join("; ");
  } catch {
    // Not the registry's own words: the status says it.
  }
  return new CommandError(`${method} ${url.pathname}: ${reason}`, response.status);
}
