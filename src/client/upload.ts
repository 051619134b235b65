/**
 * Uploads in chunks that survive broken connections.
 *
 * Source: distribution-spec, "Pushing a blob in chunks". What came of a chunk is not guessed: after a failure the
 * registry is asked for the offset of the upload, and the missing bytes are sent again.
 */
import type { AccessEntry } from "../oci/scope.ts";
import { RegistryError } from "./errors.ts";
import { discard, mayPass } from "./exchange.ts";
import { lastByteOf } from "./ranges.ts";
import { refusalOf } from "./refusals.ts";
import { isPassing, pauseAfter, type RetryPolicy, retryAfterMs } from "./retry.ts";
import type { Transport } from "./transport.ts";

/** Eight tries without a byte of progress, over some 40 s. */
const defaultUploadPolicy: RetryPolicy = { attempts: 8, firstPauseMs: 500, maxPauseMs: 10_000 };

/** What GitHub's registry takes of a chunk, which answers 416 to larger ones. */
const smallBytes = 4 * 1024 * 1024;

/** Shared by all requests of an upload. */
export type UploadOptions = {
  scopes: readonly AccessEntry[];
  signal?: AbortSignal | undefined;
  retries?: RetryPolicy | undefined;
  headers?: Record<string, string> | undefined;
  /** Sent instead of the transport's own credentials, as for a request. */
  authorization?: string | undefined;
};

/** One upload session of a registry, and how far it is. */
export class UploadSession {
  readonly #transport: Transport;
  readonly #options: UploadOptions;
  #location: URL;
  #offset: number;
  /** Up to where bytes have been sent, whatever came of them. */
  #sentEnd = 0;
  #mayBeFinished = false;
  /** Whether the registry has said less of its offset than it had accepted. */
  #isMiscounted = false;
  /** How much goes in one request; less once the registry has refused one as too large. */
  #mostBytes = Number.POSITIVE_INFINITY;

  /**
   * @param location where the session is; it changes with the answers
   * @param offset how many bytes of it the registry has
   */
  constructor(transport: Transport, location: URL, offset: number, options: UploadOptions) {
    this.#transport = transport;
    this.#location = location;
    this.#offset = offset;
    this.#options = options;
  }

  /** The address of the session's next request. */
  get location(): URL {
    return this.#location;
  }

  /** How many bytes the registry has acknowledged. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether a try to finish had no answer: a 404 after it may mean that it had succeeded. */
  get mayBeFinished(): boolean {
    return this.#mayBeFinished;
  }

  /**
   * Sends the next bytes; resolves with nothing when the registry has all of them, else with its refusal, unread.
   *
   * @param bytes unchanged until the answer, as they may be sent again
   * @throws RegistryError when there is no answer in several tries; or the signal's reason
   */
  async send(bytes: Uint8Array): Promise<Response | undefined> {
    const start = this.#offset;
    for (;;) {
      const sent = this.#offset - start;
      if (sent >= bytes.byteLength) return undefined;
      const outcome = await this.#sendPiece(bytes.subarray(sent, sent + this.#mostBytes));
      if (outcome instanceof Response) return outcome;
    }
  }

  async #sendPiece(bytes: Uint8Array): Promise<Response | "too large" | undefined> {
    const end = this.#offset + bytes.byteLength;
    return await this.#persist(bytes, async (rest) => {
      if (this.#offset === end) return "acknowledged";
      const response = await this.#request("PATCH", this.#location, rest);
      if (response.status !== 202) return response;
      this.#goOn(response);
      const last = this.#isMiscounted ? undefined : lastByteOf(response);
      // A registry that names no range has accepted everything.
      const hasAll = last === undefined || last + 1 === end || (last === 0 && end === 1);
      if (!hasAll) return "incomplete";
      this.#offset = end;
      return "acknowledged";
    });
  }

  /**
   * Ends the upload with its last bytes, of which there may be none. The answer is 201 when the registry has the blob;
   * any other is its refusal, unread. The bytes may not be changed until then.
   *
   * @param digest the digest of the whole blob
   * @throws RegistryError when there is no answer in several tries; or the signal's reason
   */
  async finish(digest: string, bytes: Uint8Array): Promise<Response> {
    const start = this.#offset;
    for (;;) {
      const rest = bytes.subarray(this.#offset - start);
      const ahead = Math.max(0, rest.byteLength - this.#mostBytes);
      const refusal = await this.send(rest.subarray(0, ahead));
      if (refusal !== undefined) return refusal;
      const answered = await this.#sendLast(digest, bytes.subarray(this.#offset - start));
      if (answered === undefined) this.#fail("does not say that an upload is finished");
      if (answered !== "too large") return answered;
    }
  }

  async #sendLast(digest: string, bytes: Uint8Array): Promise<Response | "too large" | undefined> {
    // A blob in one request is no chunk: GitHub's registry takes chunks of 4 MiB at most, and any blob.
    let isChunk = this.#offset > 0;
    return await this.#persist(bytes, async (rest) => {
      const url = withDigest(this.#location, digest);
      this.#mayBeFinished = true;
      const wasChunk = isChunk;
      // Some bytes of this request may arrive, and must not be taken twice.
      isChunk = true;
      const response = await this.#request("PUT", url, rest, wasChunk);
      if (response.status < 500 && response.status !== 404) this.#mayBeFinished = false;
      return response;
    });
  }

  /** Cancels the upload, so that the registry can delete its bytes. Never throws. */
  async cancel(): Promise<void> {
    const { scopes, authorization } = this.#options;
    await this.#transport
      .send({ method: "DELETE", target: this.#location, scopes, authorization })
      .then(discard)
      .catch(() => {});
  }

  /**
   * How far the upload is, as the registry says; or its refusal, when it has no such upload.
   *
   * @throws RegistryError when there is no answer
   */
  async ask(): Promise<number | Response> {
    const { scopes, signal, authorization, headers = {} } = this.#options;
    const response = await this.#transport.send({
      method: "GET",
      target: this.#location,
      scopes,
      signal,
      authorization,
      headers,
    });
    if (response.status !== 204 && response.status !== 202) return response;
    await discard(response);
    this.#goOn(response);
    const last = lastByteOf(response);
    if (last === undefined) {
      throw new RegistryError(
        "foreign",
        `${this.#transport.registry.host} does not say how far an upload is`,
      );
    }
    // An empty upload reports 0-0, as an upload with one byte does.
    return last === 0 ? Math.min(1, this.#offset) : last + 1;
  }

  /**
   * Does one step until it is answered for good: with nothing, or what the registry said instead. `too large`: the next
   * one is to be smaller.
   */
  async #persist(
    bytes: Uint8Array,
    step: (rest: Uint8Array) => Promise<Response | "acknowledged" | "incomplete">,
  ): Promise<Response | "too large" | undefined> {
    const { signal, retries = defaultUploadPolicy } = this.#options;
    const start = this.#offset;
    const end = start + bytes.byteLength;
    let furthest = start;
    // What the registry said of the request before, if it is to be asked what it meant.
    let doubt: "accepted" | "too large" | undefined;
    // Whether nothing of an earlier request may still be on its way.
    let isSettled = true;
    for (let failures = 1; ; failures++) {
      const wasAccepted = doubt === "accepted";
      doubt = undefined;
      let response: Response | undefined;
      let broken: unknown;
      try {
        const rest = bytes.subarray(this.#offset - start);
        const outcome = await step(rest);
        if (outcome === "acknowledged") return undefined;
        if (outcome === "incomplete") doubt = "accepted";
        else response = outcome;
        if (wasAccepted && response?.status === 416) return await this.#takeForAll(response, end);
        if (response !== undefined && this.#isTooLarge(response, rest)) {
          if (isSettled || response.status === 413) {
            await discard(response);
            return this.#sendLess();
          }
          // 416 may also say that late bytes have arrived.
          doubt = "too large";
        }
        if (response !== undefined && !(await this.#mayGoOn(response))) return response;
      } catch (error) {
        if (!mayPass(error)) throw error;
        broken = error;
      }
      const askedMs = response === undefined ? undefined : retryAfterMs(response);
      const pauseMs = pauseAfter(failures, retries, this.#transport.timing, askedMs);
      if (failures >= retries.attempts || pauseMs === undefined) {
        if (response !== undefined) return response;
        throw broken ?? this.#fail("takes no more bytes of an upload");
      }
      if (response !== undefined) await discard(response);
      await this.#transport.timing.sleep(pauseMs, signal);
      const stands = await this.ask();
      isSettled = false;
      if (doubt === "too large" && stands === this.#offset) return this.#sendLess();
      if (doubt === "accepted" && (stands instanceof Response || stands < start))
        return await this.#takeForAll(stands, end);
      if (typeof stands !== "number") return stands;
      if (stands < start) this.#fail(`has lost bytes of an upload: it is at ${stands}, and was at ${start}`);
      if (stands > Math.max(end, this.#sentEnd)) this.#fail("has more bytes of an upload than were sent");
      if (stands > furthest) failures = 0;
      furthest = Math.max(furthest, stands);
      this.#offset = stands;
      // A larger request, which was refused, had arrived in part.
      if (stands > end) return undefined;
    }
  }

  /** Whether an answer may be about the size of a request, and less is to be tried. */
  #isTooLarge({ status }: Response, { byteLength }: Uint8Array): boolean {
    return (status === 413 || status === 416) && byteLength > smallBytes && this.#mostBytes > smallBytes;
  }

  /** Has requests be small from now on. */
  #sendLess(): "too large" {
    this.#mostBytes = smallBytes;
    return "too large";
  }

  /**
   * Takes a chunk that was answered with 202 for accepted as a whole, although the registry says that it has less: it
   * refuses bytes at the offset that it names, or contradicts itself in another way. ECR's `Range` stays that of the first
   * chunk, and zot's was that of the last one. If this is wrong, the digest of the whole will not be right.
   */
  async #takeForAll(answer: Response | number, end: number): Promise<undefined> {
    if (answer instanceof Response) await discard(answer);
    this.#isMiscounted = true;
    this.#offset = end;
  }

  /**
   * Whether to ask the registry how far the upload is, and go on from there. A conflict with another writer passes; one
   * with a repository that takes no pushes does not, and its code tells them apart. The answer stays unread.
   */
  async #mayGoOn(response: Response): Promise<boolean> {
    const { status } = response;
    if (status !== 409) return status === 416 || isPassing(status);
    return (await refusalOf("PATCH", this.#transport.registry, response.clone())).code !== "DENIED";
  }

  async #request(method: string, target: URL, bytes: Uint8Array, isChunk = true): Promise<Response> {
    const { scopes, signal, authorization, headers } = this.#options;
    const { byteLength } = bytes;
    const range = `${this.#offset}-${this.#offset + byteLength - 1}`;
    this.#sentEnd = Math.max(this.#sentEnd, this.#offset + byteLength);
    const response = await this.#transport.send({
      method,
      target,
      scopes,
      signal,
      authorization,
      headers: {
        ...headers,
        "Content-Type": "application/octet-stream",
        ...(isChunk && byteLength > 0 ? { "Content-Range": range } : {}),
      },
      body: bytes,
    });
    if (response.status === 201 || response.status === 202) await discard(response);
    return response;
  }

  #goOn({ headers }: Response): void {
    const location = headers.get("Location");
    if (location !== null) this.#location = this.#transport.resolve(location, this.#location);
  }

  #fail(what: string): never {
    throw new RegistryError("foreign", `${this.#transport.registry.host} ${what}`);
  }
}

/** The address that ends an upload. The rest of its query stays as the registry wrote it. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  if (url.searchParams.has("digest")) return url;
  url.search += `${url.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
  return url;
}

/** Chunks are held in memory: a registry that wants larger ones will say no to those that it gets. */
const largestMinChunkBytes = 256 * 1024 * 1024;

/** The smallest chunk, except the last, that a registry accepts, by its answer to the upload's start; 256 MiB at most. */
export function minChunkBytes({ headers }: Pick<Response, "headers">): number {
  const text = headers.get("OCI-Chunk-Min-Length") ?? "";
  return /^\d{1,15}$/.test(text) ? Math.min(Number(text), largestMinChunkBytes) : 0;
}
