/** A registry that takes uploads of one repository, and meets them with trouble that a test chose. */
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { answer, type FakeRegistry, fakeRegistry, type Seen } from "./fake-registry.ts";

/**
 * What happens to the next request with a body:
 *
 * - `cut`: the connection ends after so many of its bytes were kept
 * - `status`: it is answered like this, after so many of its bytes were kept
 * - `late`: as `cut`, but the rest of its bytes is kept as well, just before the next request with a body
 * - `lost-answer`: it is done, and the connection ends instead of the answer
 */
export type Trouble =
  | { kind: "cut" | "late"; keeps: number }
  | { kind: "status"; status: number; keeps?: number; headers?: Record<string, string>; code?: string }
  | { kind: "lost-answer" };

/** What it has, and how many bytes of bodies came. */
export class UploadRegistry {
  bytes = Buffer.alloc(0);
  readonly blobs = new Map<string, Buffer>();
  received = 0;
  /** Whether it says of blobs that they are a byte longer than they are. */
  liesAboutSize = false;
  /** What it says of how many bytes it has; `undefined` for an answer that it has no such request. */
  counts = (_method: string, length: number): number | undefined => length;
  /** The status for a request that is larger than it takes; `undefined` if it takes all. */
  refuses = (_bytes: number, _isChunk: boolean): number | undefined => undefined;
  chunks: string[] = [];
  #session = 0;
  #onItsWay = Buffer.alloc(0);
  readonly trouble: Trouble[] = [];
  readonly minChunkBytes: number | undefined;
  #server: FakeRegistry | undefined;

  constructor(minChunkBytes?: number) {
    this.minChunkBytes = minChunkBytes;
  }

  get url(): string {
    return this.#server?.url.href ?? "";
  }

  async start(): Promise<FakeRegistry> {
    this.#server = await fakeRegistry((seen, response) => this.#handle(seen, response));
    return this.#server;
  }

  async #handle(seen: Seen, response: ServerResponse): Promise<void> {
    const { method, path } = seen;
    if (path === "/v2/") return answer(response, 200);
    if (method === "HEAD") {
      const blob = this.blobs.get(path.split("/").at(-1) ?? "");
      return blob === undefined
        ? answer(response, 404)
        : answer(response, 200, { "Content-Length": String(blob.byteLength + (this.liesAboutSize ? 1 : 0)) });
    }
    if (method === "POST") {
      this.#session++;
      this.bytes = Buffer.alloc(0);
      const min = this.minChunkBytes;
      const more: Record<string, string> = min === undefined ? {} : { "OCI-Chunk-Min-Length": String(min) };
      return answer(response, 202, { ...this.#where(), ...more });
    }
    if (method === "DELETE") {
      this.#session++;
      return answer(response, 204);
    }
    if (!path.startsWith(`/v2/team/app/blobs/uploads/${this.#session}?`)) {
      return answer(
        response,
        404,
        {},
        { errors: [{ code: "BLOB_UPLOAD_UNKNOWN", message: "no such upload" }] },
      );
    }
    if (method === "GET") {
      const isKnown = this.counts(method, this.bytes.byteLength) !== undefined;
      return answer(response, isKnown ? 204 : 405, isKnown ? this.#where(method) : {});
    }
    await this.#take(seen, response);
  }

  async #take({ method, path, request }: Seen, response: ServerResponse): Promise<void> {
    const trouble = this.trouble.shift();
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    this.received += body.byteLength;
    const range = request.headers["content-range"];
    this.chunks.push(`${method} ${range ?? "-"}`);
    this.bytes = Buffer.concat([this.bytes, this.#onItsWay]);
    this.#onItsWay = Buffer.alloc(0);
    const refused = this.refuses(body.byteLength, range !== undefined);
    if (refused !== undefined) return answer(response, refused, this.#where());
    if (range !== undefined && !range.startsWith(`${this.bytes.byteLength}-`)) {
      return answer(response, 416, this.#where());
    }
    const keeps = trouble === undefined || trouble.kind === "lost-answer" ? body.byteLength : trouble.keeps;
    this.bytes = Buffer.concat([this.bytes, body.subarray(0, keeps ?? 0)]);
    if (trouble?.kind === "late") this.#onItsWay = body.subarray(trouble.keeps);
    if (trouble?.kind === "cut" || trouble?.kind === "late") throw new Error("cut");
    if (trouble?.kind === "status") {
      const { status, headers, code } = trouble;
      const errors = code === undefined ? undefined : { errors: [{ code, message: "refused" }] };
      return answer(response, status, { ...this.#where(), ...headers }, errors);
    }
    if (method === "PUT") {
      const digest = new URL(path, "http://registry").searchParams.get("digest") ?? "";
      if (`sha256:${createHash("sha256").update(this.bytes).digest("hex")}` !== digest) {
        return answer(response, 400, {}, { errors: [{ code: "DIGEST_INVALID", message: "not its digest" }] });
      }
      this.blobs.set(digest, this.bytes);
      this.#session++;
    }
    if (trouble?.kind === "lost-answer") throw new Error("lost");
    if (method === "PUT") answer(response, 201);
    else answer(response, 202, this.#where());
  }

  /** Relative, and with a state that changes, as registries have it. */
  #where(method = "PATCH"): Record<string, string> {
    const length = this.bytes.byteLength;
    return {
      Location: `/v2/team/app/blobs/uploads/${this.#session}?_state=${length}`,
      Range: `0-${Math.max(0, (this.counts(method, length) ?? 0) - 1)}`,
    };
  }
}
