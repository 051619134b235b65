/**
 * The blob store on the disk of one machine: workerd's disk service writes and reads the files, and the local server
 * (local/fsync-service.ts) makes them durable. disk-files.ts says which files a key has. The disk service gives a file its
 * name when the body has ended, even if too early. So a file is only trusted after the local server checked its length.
 */
import { createHash } from "node:crypto";
import type { ByteRange } from "../oci/http.ts";
import { algorithmOf, type Digest, hexOf } from "../oci/reference.ts";
import {
  type BlobBytes,
  type Bucket,
  BucketFailed,
  fail,
  failed,
  type MultipartUpload,
  type OpenPart,
  type StoredBytes,
  type StoredPage,
  type StoredPart,
} from "./bucket.ts";
import {
  type CommitRequest,
  type DiskFile,
  type FileRange,
  filesOf,
  indexName,
  type OpenedFiles,
  parseFiles,
  sliceFiles,
  sumOf,
  wholeName,
  wholePath,
  wholePaths,
} from "./disk-files.ts";
import { DiskService } from "./disk-service.ts";
import type { Claim, DiskSpace } from "./disk-space.ts";
import type { FsyncService } from "./fsync.ts";
import { readPieces } from "./streams.ts";

/** How many files are queried at once. */
const filesAtOnce = 16;

/** The bucket on files. */
export class DiskBucket implements Bucket {
  readonly #files: DiskService;
  readonly #fsync: FsyncService;
  readonly #space: DiskSpace | undefined;

  /**
   * `files`: workerd's disk service. `fsync`: the local server, which answers a {@link CommitRequest} with 204, or 404
   * if a file has another size; and GET, with `after` and `limit` in the query, with a {@link StoredPage} of keys.
   * `space`: the disk space, if it is watched.
   */
  constructor(files: Fetcher, fsync: FsyncService, space?: DiskSpace) {
    this.#files = new DiskService(files);
    this.#fsync = fsync;
    this.#space = space;
  }

  async sizeOf(key: string): Promise<number | undefined> {
    for (const path of wholePaths(key)) {
      const sizeBytes = await this.#files.sizeOf(path);
      if (sizeBytes !== undefined) return sizeBytes;
    }
    const files = await this.#readIndex(key);
    return files !== undefined && (await this.#haveTheirSizes(key, files)) ? sumOf(files) : undefined;
  }

  async #haveTheirSizes(key: string, files: DiskFile[]): Promise<boolean> {
    for (let start = 0; start < files.length; start += filesAtOnce) {
      const asked = files
        .slice(start, start + filesAtOnce)
        .map(({ name, sizeBytes }) => this.#files.has(`${key}/${name}`, sizeBytes));
      const answers = await Promise.all(asked);
      if (answers.includes(false)) return false;
    }
    return true;
  }

  async read(stored: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined> {
    const opened = await this.#open(stored, range);
    if (opened === undefined || opened.others.length === 0) return opened?.begun;
    const { readable, writable } = new FixedLengthStream(range?.length ?? stored.sizeBytes);
    // The reader drives this. It ends when the reader disconnects; if a part is missing, the stream breaks.
    const filled = this.#join(opened, writable).then(() => writable.close());
    filled.catch((error) => writable.abort(error).catch(() => {}));
    return readable;
  }

  async pipe(stored: StoredBytes, range: ByteRange, to: WritableStream): Promise<boolean> {
    const opened = await this.#open(stored, range);
    if (opened !== undefined) await this.#join(opened, to);
    return opened !== undefined;
  }

  async findFiles(stored: StoredBytes, range?: ByteRange): Promise<FileRange[] | undefined> {
    const { key, sizeBytes } = stored;
    for (const path of wholePaths(key)) {
      if (await this.#files.has(path, sizeBytes))
        return [{ path, sizeBytes, range: range ?? { offset: 0, length: sizeBytes } }];
    }
    const files = await this.#readParts(stored, range);
    const first = files?.[0];
    const isThere = first === undefined || (await this.#files.has(first.path, first.sizeBytes));
    return isThere ? files : undefined;
  }

  /** Opens what is under a key, or a range of it: the first of its files, and which ones follow. */
  async #open(stored: StoredBytes, range: ByteRange | undefined): Promise<OpenedFiles | undefined> {
    const { key, sizeBytes } = stored;
    for (const path of wholePaths(key)) {
      const body = await this.#files.open(path, sizeBytes, range);
      if (body !== undefined) return { begun: body, others: [] };
    }
    const files = await this.#readParts(stored, range);
    if (files === undefined) return undefined;
    const [first, ...others] = files;
    if (first === undefined) return { begun: new Blob([]).stream(), others };
    const begun = await this.#files.open(first.path, first.sizeBytes, first.range);
    return begun && { begun, others };
  }

  /** The parts of a key that have a range of its bytes, from its index; `undefined` if they are not of this size. */
  async #readParts({ key, sizeBytes }: StoredBytes, range?: ByteRange): Promise<FileRange[] | undefined> {
    const files = await this.#readIndex(key);
    return files !== undefined && sumOf(files) === sizeBytes ? sliceFiles(key, files, range) : undefined;
  }

  async #join({ begun, others }: OpenedFiles, writable: WritableStream): Promise<void> {
    await begun.pipeTo(writable, { preventClose: true });
    for (const { path, sizeBytes, range } of others) {
      const body = await this.#files.open(path, sizeBytes, range);
      if (body === undefined) throw new BucketFailed(`${path} is missing or damaged`);
      await body.pipeTo(writable, { preventClose: true });
    }
  }

  async write(key: string, bytes: BlobBytes, digest: Digest): Promise<"stored" | "mismatch"> {
    const hash = createHash(algorithmOf(digest));
    const sizeBytes = bytes instanceof Uint8Array ? bytes.byteLength : bytes.sizeBytes;
    if (bytes instanceof Uint8Array) {
      hash.update(bytes);
      if (hash.digest("hex") !== hexOf(digest)) return "mismatch";
      await this.#files.put(`${key}/${wholeName}`, bytes);
    } else {
      await this.#streamWhole(key, bytes, hash);
      if (hash.digest("hex") !== hexOf(digest)) {
        await this.delete([key]);
        return "mismatch";
      }
    }
    await this.#mustCommit({ folder: key, wholeBytes: sizeBytes });
    return "stored";
  }

  /** Writes all bytes of a key. If some of them cannot be written, none are kept. */
  async #streamWhole(
    key: string,
    bytes: Exclude<BlobBytes, Uint8Array>,
    hash: ReturnType<typeof createHash>,
  ): Promise<void> {
    const claim = await this.#space?.claim(bytes.sizeBytes);
    try {
      await this.#stream(`${key}/${wholeName}`, bytes, hash, claim);
    } catch (error) {
      await this.delete([key]).catch(() => {});
      throw error;
    } finally {
      claim?.release();
    }
  }

  /** Writes a stream of known length to a file, which is deleted if the stream ends early. */
  async #stream(
    path: string,
    { stream, sizeBytes }: Exclude<BlobBytes, Uint8Array>,
    hash: ReturnType<typeof createHash>,
    claim: Claim | undefined,
  ): Promise<void> {
    const { readable, writable } = new FixedLengthStream(sizeBytes);
    const writer = writable.getWriter();
    const fill = async () => {
      try {
        for await (const piece of readPieces(stream)) {
          await claim?.take(piece.byteLength);
          hash.update(piece);
          await writer.write(piece);
        }
        await writer.close();
      } catch (error) {
        await writer.abort(error).catch(() => {});
        throw error;
      }
    };
    const put = this.#files.put(path, readable).catch(async (error) => {
      // The disk service may have read nothing of the body, and nobody else will.
      await writer.abort(error).catch(() => {});
      throw error;
    });
    const outcomes = await Promise.allSettled([fill(), put]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw failed("write", outcome.reason);
    }
  }

  async startMultipart(key: string): Promise<MultipartUpload> {
    return { key, uploadId: "parts" };
  }

  async writePart(upload: MultipartUpload, partNumber: number, bytes: Uint8Array): Promise<StoredPart> {
    const part = this.openPart(upload);
    try {
      await part.write(bytes);
    } catch (error) {
      await part.abort();
      throw error;
    }
    return { partNumber, ...(await part.end()) };
  }

  openPart({ key }: MultipartUpload): OpenPart {
    // An abandoned attempt may still be ending; it must not write to the same file.
    const name = crypto.randomUUID();
    const path = `${key}/${name}`;
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    let sizeBytes = 0;
    const put = this.#files.put(path, readable);
    // A failure is reported by the next write or by the end.
    put.catch((error) => writer.abort(error).catch(() => {}));
    return {
      write: async (bytes) => {
        await writer.write(bytes).catch((error) => fail("write", error));
        sizeBytes += bytes.byteLength;
      },
      end: async () => {
        await writer.close().catch((error) => fail("write", error));
        await put;
        const file = { name, sizeBytes };
        await this.#mustCommit({ folder: key, files: [file], isAll: false });
        return { etag: JSON.stringify(file) };
      },
      abort: async () => {
        await writer.abort().catch(() => {});
        await put.catch(() => {});
        await this.#files.delete(path).catch(() => {});
      },
    };
  }

  async readParts(key: string, parts: StoredPart[], range: ByteRange) {
    const [first] = this.filesOfParts(key, parts, range);
    const body = first && (await this.#files.open(first.path, first.sizeBytes, first.range));
    return body && { body, length: first.range.length };
  }

  filesOfParts(key: string, parts: StoredPart[], range: ByteRange): FileRange[] {
    return sliceFiles(key, filesOf(parts), range);
  }

  async completeMultipart({ key }: MultipartUpload, parts: StoredPart[]): Promise<"completed" | "unknown"> {
    const files = filesOf(parts);
    if (!(await this.#commit({ folder: key, files, isAll: false }))) return "unknown";
    const list = new TextEncoder().encode(JSON.stringify(files));
    await this.#files.put(`${key}/${indexName}`, list);
    const all = [...files, { name: indexName, sizeBytes: list.byteLength }];
    await this.#mustCommit({ folder: key, files: all, isAll: true });
    return "completed";
  }

  async abortMultipart({ key }: MultipartUpload): Promise<void> {
    if ((await this.#files.sizeOf(`${key}/${indexName}`)) === undefined) await this.delete([key]);
  }

  async delete(keys: string[]): Promise<void> {
    const failures: unknown[] = [];
    const paths = keys.flatMap((key) => [wholePath(key), key]);
    // A key that cannot be deleted must not prevent the deletion of others.
    for (const path of paths) await this.#files.delete(path).catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async list(cursor: string | undefined, limit: number): Promise<StoredPage> {
    const query = new URLSearchParams({ after: cursor ?? "", limit: String(limit) });
    const response = await this.#askFsync("list", `?${query}`);
    return response.ok ? response.json<StoredPage>() : fail("list", response.status);
  }

  /** The files in the index of a key; `undefined` if there is none, or it is damaged. */
  async #readIndex(key: string): Promise<DiskFile[] | undefined> {
    const text = await this.#files.readText(`${key}/${indexName}`);
    return text === undefined ? undefined : parseFiles(text);
  }

  async #commit(request: CommitRequest): Promise<boolean> {
    const init = { method: "POST", body: JSON.stringify(request) };
    const { status } = await this.#askFsync("commit", "", init);
    return status === 204 || (status !== 404 && fail("commit", status));
  }

  #askFsync(operation: string, query: string, init?: { method: string; body: string }): Promise<Response> {
    return this.#fsync.fetch(`https://fsync/${query}`, init).catch((error) => fail(operation, error));
  }

  async #mustCommit(request: CommitRequest): Promise<void> {
    if (!(await this.#commit(request)))
      fail("commit", `a file of ${request.folder} is not as it was written`);
  }
}
