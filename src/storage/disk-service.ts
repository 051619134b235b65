/** workerd's disk service, which reads and writes the files of blobs: HTTP, with a path for each file. */
import type { ByteRange } from "../oci/http.ts";
import { fail } from "./bucket.ts";

/** The service. Every method throws BucketFailed if it fails; the absence of a file is a value. */
export class DiskService {
  readonly #service: Fetcher;

  constructor(service: Fetcher) {
    this.#service = service;
  }

  /** The size of a file; `undefined` if there is none. */
  async sizeOf(path: string): Promise<number | undefined> {
    const response = await this.#ask("HEAD", path);
    return response && Number(response.headers.get("Content-Length"));
  }

  /** Whether there is a file of this size. */
  async has(path: string, sizeBytes: number): Promise<boolean> {
    return (await this.sizeOf(path)) === sizeBytes;
  }

  /** A file, or a range of it; `undefined` if there is no file of this size. */
  async open(
    path: string,
    sizeBytes: number,
    range: ByteRange | undefined,
  ): Promise<ReadableStream | undefined> {
    const headers: Record<string, string> =
      range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
    const response = await this.#ask("GET", path, { headers });
    if (response === undefined || response.body === null) return undefined;
    const total =
      response.headers.get("Content-Range")?.split("/")[1] ?? response.headers.get("Content-Length");
    if (Number(total) === sizeBytes) return response.body;
    await response.body.cancel();
    return undefined;
  }

  /** All of a file, as text; `undefined` if there is none. */
  async readText(path: string): Promise<string | undefined> {
    const response = await this.#ask("GET", path);
    return response?.text().catch((error) => fail("GET", error));
  }

  /** Writes a file. It has its name when the body has ended, even if too early. */
  async put(path: string, body: ReadableStream | Uint8Array): Promise<void> {
    if ((await this.#ask("PUT", path, { body })) === undefined) fail("PUT", "404");
  }

  /** Deletes a file, or a folder with everything in it, if there is one. */
  async delete(path: string): Promise<void> {
    await this.#ask("DELETE", path);
  }

  /** Sends a request. `undefined`: there is no such file or folder, or no such range of it. */
  async #ask(method: string, path: string, init: RequestInit = {}): Promise<Response | undefined> {
    const response = await this.#service
      .fetch(`https://disk/${path}`, { ...init, method })
      .catch((error) => fail(method, error));
    if (response.ok) return response;
    await response.body?.cancel();
    return response.status === 404 || response.status === 416 ? undefined : fail(method, response.status);
  }
}
