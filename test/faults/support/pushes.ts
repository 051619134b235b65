/** How clients push a blob, and go on with a push that was cut short. */
import type { Content } from "./contents.ts";
import type { Clients, Reply } from "./location.ts";
import type { LocationIndex, PushWay } from "./program.ts";

/** More than a part of an upload, and less: parts and chunks end in different places. */
const chunkBytes = 60_000;

export type PushOptions = {
  clients: Clients;
  at: LocationIndex;
  repository: string;
  content: Content;
  way: PushWay;
  /** What happens between two requests. */
  pause: () => Promise<void>;
};

/** One push of one blob. */
export class BlobPush {
  readonly #options: PushOptions;
  #location: string | undefined;
  #isClosing = false;

  constructor(options: PushOptions) {
    this.#options = options;
  }

  /** Pushes, or goes on from where the last attempt failed. Returns the answer that ended it: 201, or a refusal. */
  async attempt(): Promise<Reply> {
    const { repository, content, way } = this.#options;
    const uploads = `/v2/${repository}/blobs/uploads/`;
    if (way === "post") {
      return this.#send("POST", `${uploads}?digest=${content.digest}`, { body: content.bytes });
    }
    const isResumed = this.#location !== undefined;
    if (!isResumed) {
      const opened = await this.#send("POST", uploads);
      if (opened.status !== 202) return opened;
      this.#follow(opened);
      await this.#options.pause();
    }
    if (way === "post and put") return this.#close(content.bytes);
    if (!this.#isClosing) {
      const refused = await this.#sendChunks(isResumed);
      if (refused !== undefined) return refused;
    }
    return this.#close();
  }

  /**
   * Begins, and goes no further: cancels the upload, or never comes back to it; or tries to finish it first. Returns the
   * last answer.
   */
  async abandon({ isCancelled, isClosed }: { isCancelled: boolean; isClosed: boolean }): Promise<Reply> {
    const opened = await this.#send("POST", `/v2/${this.#options.repository}/blobs/uploads/`);
    if (opened.status !== 202) return opened;
    this.#follow(opened);
    let last = isClosed ? await this.#sendChunks(false) : await this.#sendChunk(0, chunkBytes);
    if (last !== undefined && last.status !== 202) return last;
    if (isClosed) last = await this.#close();
    return isCancelled || last === undefined ? this.#send("DELETE", this.#location ?? "") : last;
  }

  /** Asks how far the upload is. */
  status(): Promise<Reply> {
    return this.#send("GET", this.#location ?? "");
  }

  /** Sends what the upload does not have yet; returns an answer that ends the attempt. */
  async #sendChunks(isResumed: boolean): Promise<Reply | undefined> {
    const { bytes } = this.#options.content;
    let offset = 0;
    if (isResumed) {
      const status = await this.status();
      if (status.status !== 204) return status;
      this.#follow(status);
      offset = offsetOf(status);
    }
    const size = this.#options.way === "chunked" ? chunkBytes : Math.max(bytes.byteLength, 1);
    do {
      const patched = await this.#sendChunk(offset, size, this.#options.way === "chunked" || isResumed);
      if (patched.status !== 202) return patched;
      offset += size;
      await this.#options.pause();
    } while (offset < bytes.byteLength);
    return undefined;
  }

  async #sendChunk(offset: number, size: number, isRanged = true): Promise<Reply> {
    const body = this.#options.content.bytes.slice(offset, offset + size);
    const range = `${offset}-${offset + body.byteLength - 1}`;
    const headers: Record<string, string> = body.byteLength > 0 && isRanged ? { "Content-Range": range } : {};
    const patched = await this.#send("PATCH", this.#location ?? "", { body, headers });
    if (patched.status === 202) this.#follow(patched);
    return patched;
  }

  #close(body?: Uint8Array): Promise<Reply> {
    this.#isClosing = true;
    const target = `${this.#location}?digest=${this.#options.content.digest}`;
    return this.#send("PUT", target, body === undefined ? {} : { body });
  }

  #follow(reply: Reply): void {
    this.#location = reply.headers.get("Location") ?? undefined;
  }

  #send(
    method: string,
    path: string,
    options: { body?: Uint8Array; headers?: Record<string, string> } = {},
  ): Promise<Reply> {
    return this.#options.clients.send(this.#options.at, method, path, options);
  }
}

/** How many bytes an upload has; none of the blobs is one byte long. */
function offsetOf(reply: Reply): number {
  const last = Number(reply.headers.get("Range")?.slice("0-".length));
  return last === 0 ? 0 : last + 1;
}
