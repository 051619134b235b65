/**
 * A body on its way to an upload: read into chunks, each of which is kept until the registry has it, while the next one
 * fills.
 */
import { createHash, type Hash } from "node:crypto";
import { discard } from "../../client/exchange.ts";
import { isRefusalOfChunks } from "../../client/push-blob.ts";
import type { Transport } from "../../client/transport.ts";
import { minChunkBytes, UploadSession } from "../../client/upload.ts";
import { parseContentLength, parseContentRange, uploadRange } from "../../oci/http.ts";
import { algorithmOf, type Digest, digestOf, parseDigest } from "../../oci/reference.ts";
import type { Layers } from "../layers.ts";
import type { BodyPiece } from "./body.ts";
import type { ChunkBuffers } from "./buffers.ts";
import type { Caller } from "./caller.ts";
import type { KnownUpload, KnownUploads } from "./known-uploads.ts";

/** Shared by all uploads. `note`: prints something for the user of the proxy. */
export type UploadParts = {
  transport: Transport;
  buffers: ChunkBuffers;
  known: KnownUploads;
  layers: Layers;
  note: (message: string) => void;
};

/** Bodies that are known to be smaller wait for no buffer. */
const smallBytes = 1024 * 1024;

/** A request that brings bytes: `PATCH`, `PUT ?digest=`, or `POST ?digest=` with a body. */
export class UploadRequest {
  readonly #parts: UploadParts;
  readonly #caller: Caller;
  readonly #digest: Digest | undefined;
  /** The last reading of the body. */
  #filling: Promise<unknown> = Promise.resolve();
  #upload: KnownUpload = { offset: 0, hash: undefined, isCut: false, layer: undefined };

  constructor(parts: UploadParts, caller: Caller) {
    this.#parts = parts;
    this.#caller = caller;
    this.#digest = parseDigest(caller.query("digest") ?? "");
  }

  /** Brings the bytes to the registry, and answers. */
  async run(): Promise<void> {
    const caller = this.#caller;
    const session = caller.method === "POST" ? undefined : await this.#find();
    if (session === "answered") return;
    this.#upload.layer ??= this.#parts.layers.begin(this.#name(), caller.body.announcedBytes);
    const { announcedBytes = Number.POSITIVE_INFINITY } = caller.body;
    const { buffers } = this.#parts;
    const isSmall = announcedBytes < Math.min(smallBytes, buffers.bufferBytes);
    const held = new Set<Buffer>();
    const hold = (buffer: Buffer) => {
      if (!isSmall) held.add(buffer);
      return buffer;
    };
    try {
      caller.welcomeBody();
      const buffer = hold(isSmall ? Buffer.allocUnsafe(announcedBytes) : await buffers.take());
      const first = await this.#fill(buffer);
      if (session === undefined && first.isLast) await this.#postWhole(first.bytes);
      else await this.#send(session ?? (await this.#open()), first, buffer, held);
    } catch (error) {
      const why = caller.signal.aborted
        ? "the client went away"
        : String(error instanceof Error ? error.message : error);
      this.#upload.layer?.failed(why);
      throw error;
    } finally {
      // Nobody else may have a buffer into which this body is still read.
      const give = () => {
        for (const buffer of held) buffers.give(buffer);
      };
      void this.#filling.then(give, give);
    }
  }

  /** Asks for the offset of the upload that the bytes belong to. */
  async #find(): Promise<UploadSession | "answered"> {
    const caller = this.#caller;
    const location = withoutDigest(caller.address);
    const known = this.#parts.known.take(location);
    if (known !== undefined) this.#upload = known;
    const session = this.#sessionAt(location, this.#upload.offset);
    const isUnknown = known === undefined && caller.body.announcedBytes === 0;
    if (known === undefined && !isUnknown) {
      const stands = await session.ask();
      if (typeof stands !== "number") {
        await caller.relay(stands);
        return "answered";
      }
      this.#upload.offset = stands;
    }
    if (this.#upload.offset === 0 && !isUnknown) this.#upload.hash ??= this.#newHash();
    const range = parseContentRange(caller.headers["content-range"] ?? "");
    const isElsewhere = range !== undefined && range.offset !== this.#upload.offset;
    const isOther = range !== undefined && range.length !== (caller.body.announcedBytes ?? range.length);
    if (!isElsewhere && !isOther) return this.#sessionAt(session.location, this.#upload.offset);
    this.#parts.known.keep(session.location, this.#upload);
    const headers = this.#where(session.location, this.#upload.offset);
    const message = isElsewhere
      ? "the chunk does not begin where the upload stands: go on from the offset in the Range header"
      : "the Content-Range is not as long as the body";
    const [status, code] = isElsewhere ? [416, "BLOB_UPLOAD_INVALID"] : [400, "SIZE_INVALID"];
    await caller.refuse({ status, code, message, headers });
    return "answered";
  }

  /** Opens an upload for bytes that came with `POST`, and are too many for one request. */
  async #open(): Promise<UploadSession | Response> {
    const { transport, buffers } = this.#parts;
    const { scopes, signal, authorization } = this.#caller;
    const target = withoutDigest(this.#caller.address);
    const headers = this.#headers();
    const response = await transport.send({ method: "POST", target, scopes, signal, authorization, headers });
    if (response.status !== 202) return response;
    await discard(response);
    buffers.growTo(minChunkBytes(response));
    return this.#sessionAt(transport.resolve(response.headers.get("Location") ?? "", target), 0);
  }

  /** Passes on a whole blob that is small enough for one request. */
  async #postWhole(bytes: Buffer): Promise<void> {
    const { scopes, signal, authorization, address } = this.#caller;
    if (await this.#isWrong()) return;
    const response = await this.#parts.transport.send({
      method: "POST",
      target: address,
      scopes,
      signal,
      authorization,
      headers: this.#headers(),
      body: bytes,
      isRepeatable: true,
    });
    this.#upload.layer?.add(bytes.byteLength);
    if (response.status === 201) this.#upload.layer?.done(`${this.#name()} pushed`);
    else this.#upload.layer?.failed(`the registry answers with status ${response.status}`);
    await this.#caller.relay(response);
  }

  async #send(
    session: UploadSession | Response,
    first: BodyPiece,
    buffer: Buffer,
    held: Set<Buffer>,
  ): Promise<void> {
    if (session instanceof Response) return await this.#refused(session);
    const { buffers } = this.#parts;
    let [current, piece] = [buffer, first];
    let spare: Buffer | undefined;
    while (!piece.isLast) {
      this.#upload.isCut = true;
      if (spare === undefined) {
        spare = buffers.takeNow();
        if (spare !== undefined) held.add(spare);
      }
      const filling = spare === undefined ? undefined : this.#fill(spare);
      // Its error is handled below, or does not matter any more.
      filling?.catch(() => {});
      const refusal = await session.send(piece.bytes);
      if (refusal !== undefined) {
        await this.#refused(refusal);
        await filling?.catch(() => {});
        return;
      }
      this.#upload.layer?.add(piece.bytes.byteLength);
      piece = (await filling) ?? (await this.#fill(current));
      if (spare === undefined) continue;
      [current, spare] = [spare, current];
      if (!buffers.isShort) continue;
      held.delete(spare);
      buffers.give(spare);
      spare = undefined;
    }
    await this.#end(session, piece.bytes);
  }

  /** Sends the last bytes of the body, and answers as the registry would have. */
  async #end(session: UploadSession, bytes: Buffer): Promise<void> {
    const caller = this.#caller;
    const range = parseContentRange(caller.headers["content-range"] ?? "");
    if (range !== undefined && range.length !== caller.body.readBytes) {
      const message = "the Content-Range is not as long as the body";
      return await caller.refuse({ status: 400, code: "SIZE_INVALID", message });
    }
    if (caller.method === "PATCH") {
      const refusal = await session.send(bytes);
      if (refusal !== undefined) return await this.#refused(refusal);
      this.#upload.layer?.add(bytes.byteLength);
      this.#upload.offset = session.offset;
      this.#parts.known.keep(session.location, this.#upload);
      return await caller.answer(202, this.#where(session.location, session.offset));
    }
    if (await this.#isWrong(session)) return;
    const size = session.offset + bytes.byteLength;
    const response = await session.finish(caller.query("digest") ?? "", bytes);
    const isUnclear = response.status === 404 && session.mayBeFinished;
    if (response.status !== 201 && !isUnclear) return await this.#refused(response);
    const blob = await this.#blob(isUnclear || this.#upload.isCut);
    if (isUnclear && blob?.status !== 200) return await this.#refused(response);
    // Whose token has ended meanwhile is not told; the registry has compared the digest.
    const length = blob?.status === 200 ? blob.headers.get("Content-Length") : null;
    const stored = parseContentLength(length);
    if (this.#upload.isCut && stored !== undefined && stored !== size) {
      const message = `the registry took ${size} bytes for ${this.#digest}, and has ${stored}`;
      this.#upload.layer?.failed(message);
      return await caller.refuse({ status: 502, code: "SIZE_INVALID", message });
    }
    this.#upload.layer?.add(bytes.byteLength);
    this.#upload.layer?.done(`${this.#name()} pushed`);
    const location = response.headers.get("Location");
    const where = location === null ? this.#blobAddress() : new URL(location, session.location);
    const digest = response.headers.get("Docker-Content-Digest") ?? String(this.#digest);
    await caller.answer(201, { Location: caller.downstream(where), "Docker-Content-Digest": digest });
  }

  async #fill(buffer: Buffer): Promise<BodyPiece> {
    if (this.#caller.method === "POST") this.#upload.hash ??= this.#newHash();
    const filling = this.#caller.body.fill(buffer, (bytes) => this.#upload.hash?.update(bytes));
    this.#filling = filling;
    return await filling;
  }

  #newHash(): Hash {
    return createHash(this.#digest === undefined ? "sha256" : algorithmOf(this.#digest));
  }

  /** Whether the bytes are not those of the digest that the client gives them; says so, and ends the upload. */
  async #isWrong(session?: UploadSession): Promise<boolean> {
    const { hash } = this.#upload;
    if (hash === undefined || this.#digest === undefined) return false;
    const hex = hash.digest("hex");
    const algorithm = hex.length === 64 ? "sha256" : "sha512";
    if (algorithm !== algorithmOf(this.#digest) || digestOf(algorithm, hex) === this.#digest) return false;
    await session?.cancel();
    const message = `what came for ${this.#digest} is ${digestOf(algorithm, hex)}`;
    this.#upload.layer?.failed(message);
    await this.#caller.refuse({ status: 400, code: "DIGEST_INVALID", message });
    return true;
  }

  /** The registry's answer about the blob, if it is to be asked. */
  async #blob(isAsked: boolean): Promise<Response | undefined> {
    if (!isAsked || this.#digest === undefined) return undefined;
    const { scopes, signal, authorization } = this.#caller;
    const target = this.#blobAddress();
    const response = await this.#parts.transport.send({
      method: "HEAD",
      target,
      scopes,
      signal,
      authorization,
    });
    await discard(response);
    return response;
  }

  #blobAddress(): URL {
    const url = new URL(this.#caller.address);
    url.pathname = url.pathname.replace(/\/blobs\/uploads\/.*$/, `/blobs/${this.#digest}`);
    url.search = "";
    return url;
  }

  /** Passes on the registry's answer instead of reading the bytes. */
  async #refused(response: Response): Promise<void> {
    const { status } = response;
    const { note, transport } = this.#parts;
    if (this.#upload.isCut && isRefusalOfChunks(status)) {
      note(`${transport.registry.host} does not take uploads in chunks: it answers with status ${status}`);
    }
    this.#upload.layer?.failed(`the registry answers with status ${status}`);
    await this.#caller.relay(response);
  }

  #sessionAt(location: URL, offset: number): UploadSession {
    const { scopes, signal, authorization } = this.#caller;
    const options = { scopes, signal, authorization, headers: this.#headers() };
    return new UploadSession(this.#parts.transport, location, offset, options);
  }

  #headers(): Record<string, string> {
    const { "content-range": _, "content-type": __, ...headers } = this.#caller.headers;
    return headers;
  }

  #where(location: URL, offset: number): Record<string, string> {
    return { Location: this.#caller.downstream(location), Range: uploadRange(offset) };
  }

  #name(): string {
    const [, repository = ""] = /\/v2\/(.+)\/blobs\/uploads\//.exec(this.#caller.address.pathname) ?? [];
    return this.#digest === undefined ? repository : `${repository} ${this.#digest.slice(0, 19)}`;
  }
}

/** The address of an upload without the digest that ends it; the rest of its query is as the registry wrote it. */
function withoutDigest(address: URL): URL {
  const url = new URL(address);
  const parts = url.search.slice(1).split("&");
  url.search = parts.filter((part) => !part.startsWith("digest=")).join("&");
  return url;
}
