/** What is pushed, pulled, listed and deleted, over HTTP: the part of the distribution API that commands need. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { readJson } from "./api.ts";
import { type Connection, notStowage } from "./connection.ts";
import { CommandError } from "./errors.ts";

/** How much of a blob is sent in one request: proxies bound the size of a body. */
const pieceBytes = 8 * 1024 * 1024;

/** How long an answer may take that has no content. */
const timeoutMs = 60_000;

/** What a request has besides. `subject`: what of the repository it is about, for the message when it is refused. */
type More = { subject?: string; headers?: Record<string, string>; body?: Uint8Array; timeoutMs?: number };

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
    const subject = `${kind === "blobs" ? "blob" : "manifest"} ${digest}`;
    const response = await this.#send("GET", `v2/${repository}/${kind}/${digest}`, [200, 404], { subject });
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
    const subject = `blob ${digest}`;
    const head = await this.#send("HEAD", `v2/${repository}/blobs/${digest}`, [200, 404], { subject });
    if (head.status === 200) return false;
    const query = from === undefined ? "" : `?${new URLSearchParams({ mount: digest, from })}`;
    const opened = await this.#send("POST", `v2/${repository}/blobs/uploads/${query}`, [201, 202], {
      subject,
    });
    if (opened.status === 201) return false;
    await this.#upload(this.#location(opened), digest, file);
    return true;
  }

  /** Pushes a blob, whether it is there or not: what is there may be damaged. */
  async replaceBlob(repository: string, digest: string, file: string): Promise<void> {
    const subject = `blob ${digest}`;
    const opened = await this.#send("POST", `v2/${repository}/blobs/uploads/`, [202], { subject });
    await this.#upload(this.#location(opened), digest, file);
  }

  async #upload(location: URL, digest: string, file: string): Promise<void> {
    const { size } = await stat(file);
    const subject = `blob ${digest}`;
    let next = location;
    let rest: Uint8Array = new Uint8Array();
    for (let start = 0; start < size; start += pieceBytes) {
      rest = await readPiece(file, start);
      if (start + pieceBytes >= size) break;
      const headers = { "Content-Range": `${start}-${start + rest.byteLength - 1}` };
      next = this.#location(await this.#send("PATCH", next, [202], { subject, headers, body: rest }));
    }
    next.searchParams.set("digest", digest);
    await this.#send("PUT", next, [201], { subject, body: rest });
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
    const more = { subject: `manifest ${digest}`, headers, body };
    await this.#send("PUT", `v2/${repository}/manifests/${digest}?${query}`, [201], more);
  }

  /** The tags of a repository, to the last page. */
  async tags(repository: string): Promise<string[]> {
    const tags: string[] = [];
    let next: URL | undefined = this.#connection.resolve(`v2/${repository}/tags/list?n=1000`);
    while (next !== undefined) {
      const response: Response = await this.#send("GET", next, [200], { timeoutMs });
      const page = await readJson<{ tags?: unknown } | null | undefined>(response);
      if (!Array.isArray(page?.tags)) throw notStowage(response);
      tags.push(...page.tags);
      next = this.#connection.nextPage(response);
    }
    return tags;
  }

  /** Deletes a tag, or a manifest by its digest. The code of the error is the specification's where there is none. */
  async delete(repository: string, reference: string): Promise<void> {
    await this.#send("DELETE", `v2/${repository}/manifests/${reference}`, [202], { timeoutMs });
  }

  #location({ headers }: Response): URL {
    return this.#connection.resolve(headers.get("Location") ?? "");
  }

  async #send(
    method: string,
    target: string | URL,
    expected: number[],
    { subject, ...more }: More = {},
  ): Promise<Response> {
    const url = target instanceof URL ? target : this.#connection.resolve(target);
    const response = await this.#connection.send(url, { method, ...more });
    if (!expected.includes(response.status)) throw await this.#refusalOf(method, subject, response);
    // An answer that is not read keeps its connection.
    if (method !== "GET") await response.body?.cancel();
    return response;
  }

  async #refusalOf(method: string, subject: string | undefined, response: Response): Promise<CommandError> {
    const { status } = response;
    const errors = parseErrors(await response.text().catch(() => ""));
    // An answer to HEAD has no body, and what stands before a registry has failures of its own.
    if (errors === undefined && method !== "HEAD" && status < 500) return notStowage(response);
    const reasons = errors?.map(({ message }) => message);
    const reason = this.#connection.refusal(
      status,
      reasons?.join("; ") ?? `${this.#connection.origin} answers with status ${status}`,
    );
    const message = subject === undefined ? reason : `${subject}: ${reason}`;
    return new CommandError(message, status, { code: errors?.[0]?.code });
  }
}

async function readPiece(file: string, start: number): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(file, { start, end: start + pieceBytes - 1 }))
    pieces.push(piece);
  return Buffer.concat(pieces);
}

type OciErrors = { errors: { code: string; message: string }[] };

/** distribution-spec: Error Codes. `undefined` when they are not the registry's. */
function parseErrors(text: string): OciErrors["errors"] | undefined {
  try {
    const { errors } = JSON.parse(text) as OciErrors;
    return errors.length > 0 ? errors : undefined;
  } catch {
    return undefined;
  }
}
