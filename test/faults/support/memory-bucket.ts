/** R2 in memory, as far as the registry uses it, with the platform's rules; its operations fail on command. */
import { createHash } from "node:crypto";
import type { FaultTable } from "./fault-table.ts";
import type { BlobDamage, BucketOperation, FaultEffect } from "./program.ts";

type Checksums = { sha256?: string; sha512?: string };
type Range = { offset: number; length: number };
type OpenUpload = { key: string; parts: Map<number, { etag: string; bytes: Uint8Array }> };
type Stored = { bytes: Uint8Array; at: number };

/** How late a call of unknown outcome is done, in milliseconds. */
const lateMs = 50_000;

/** The bucket of one world. */
export class MemoryBucket {
  readonly #faults: FaultTable;
  readonly #objects = new Map<string, Stored>();
  readonly #unreadable = new Set<string>();
  readonly #uploads = new Map<string, OpenUpload>();
  #uploadCount = 0;
  #late: { at: number; call: () => unknown }[] = [];

  constructor(faults: FaultTable) {
    this.#faults = faults;
  }

  /** The keys of all objects. */
  keys(): string[] {
    this.#doLate();
    return [...this.#objects.keys()];
  }

  /** Whether some object has these bytes, and can be read. */
  has(bytes: Uint8Array): boolean {
    return this.#readableKeysOf(bytes).length > 0;
  }

  /** Damages all objects that have these bytes, and can be read. Returns whether there are any. */
  damage(bytes: Uint8Array, how: BlobDamage): boolean {
    const keys = this.#readableKeysOf(bytes);
    for (const key of keys) {
      if (how === "unreadable") this.#unreadable.add(key);
      // There is nothing to be altered in nothing.
      else if (how === "lost" || bytes.byteLength === 0) this.#objects.delete(key);
      else this.#objects.set(key, { bytes: damaged(bytes, how), at: Date.now() });
    }
    return keys.length > 0;
  }

  /** Lets what could not be read be read again. */
  heal(): void {
    this.#unreadable.clear();
  }

  /** How many multipart uploads are open. */
  get openUploads(): number {
    return this.#uploads.size;
  }

  /** The binding. */
  binding(): R2Bucket {
    const binding = {
      head: (key: string) => this.#call("head", key, () => describe(this.#objects.get(key))),
      get: (key: string, { range }: { range?: Range } = {}) =>
        this.#call("get", key, () => {
          if (this.#unreadable.has(key)) throw new Error("internal error (10001)");
          const bytes = this.#objects.get(key)?.bytes;
          const { offset, length } = range ?? { offset: 0, length: bytes?.byteLength ?? 0 };
          return (
            bytes && { size: bytes.byteLength, body: new Response(bytes.slice(offset, offset + length)).body }
          );
        }),
      put: async (key: string, body: ReadableStream | Uint8Array, checksums: Checksums) => {
        const bytes = new Uint8Array(await new Response(body).arrayBuffer());
        return this.#call("put", key, () => this.#put(key, bytes, checksums));
      },
      delete: (keys: string[]) =>
        this.#call("delete", keys.join(" "), () => {
          for (const key of keys) this.#objects.delete(key);
        }),
      list: () =>
        this.#call("list", "", () => {
          const objects = [...this.#objects].map(([key, { at }]) => ({ key, uploaded: new Date(at) }));
          return { objects, truncated: false };
        }),
      createMultipartUpload: (key: string) =>
        this.#call("createMultipartUpload", key, (effect) => {
          const uploadId = `upload-${++this.#uploadCount}`;
          // One whose id nobody learnt, nobody can end; the platform does, after seven days.
          if (!isUnanswered(effect)) this.#uploads.set(uploadId, { key, parts: new Map() });
          return { key, uploadId };
        }),
      resumeMultipartUpload: (key: string, uploadId: string) => this.#resume(key, uploadId),
    };
    return binding as unknown as R2Bucket;
  }

  async #call<T>(
    operation: BucketOperation,
    detail: string,
    call: (effect: FaultEffect | undefined) => T,
  ): Promise<T | null> {
    this.#doLate();
    const target = `r2.${operation}` as const;
    const effect = this.#faults.take(target, detail);
    if (effect === "late") {
      this.#late.push({ at: Date.now() + lateMs, call: () => call(effect) });
      throw new Error("timed out");
    }
    return this.#faults.apply(target, effect, async () => call(effect) ?? null);
  }

  #readableKeysOf(bytes: Uint8Array): string[] {
    const hasThem = (key: string) => Buffer.from(bytes).equals(this.#objects.get(key)?.bytes ?? []);
    return this.keys().filter((key) => !this.#unreadable.has(key) && hasThem(key));
  }

  #doLate(): void {
    const due = this.#late.filter(({ at }) => at <= Date.now());
    this.#late = this.#late.filter((each) => !due.includes(each));
    for (const { call } of due) {
      try {
        call();
      } catch {
        // Nobody is told any more.
      }
    }
  }

  #put(key: string, bytes: Uint8Array, checksums: Checksums): { key: string; size: number } {
    for (const [algorithm, expected] of Object.entries(checksums)) {
      const computed = createHash(algorithm).update(bytes).digest("hex");
      if (computed !== expected) throw new Error("put: the checksum did not match what was received (10037)");
    }
    this.#objects.set(key, { bytes, at: Date.now() });
    return { key, size: bytes.byteLength };
  }

  #resume(key: string, uploadId: string) {
    const open = (): OpenUpload => {
      const upload = this.#uploads.get(uploadId);
      if (upload?.key !== key) throw new Error("the specified multipart upload does not exist (10024)");
      return upload;
    };
    return {
      uploadPart: (partNumber: number, bytes: Uint8Array) => {
        const kept = bytes.slice();
        return this.#call("uploadPart", `${key} ${partNumber}`, () => {
          const etag = `${uploadId} ${partNumber} ${createHash("md5").update(kept).digest("hex")}`;
          open().parts.set(partNumber, { etag, bytes: kept });
          return { partNumber, etag };
        });
      },
      complete: (named: { partNumber: number; etag: string }[]) =>
        this.#call("complete", key, () => {
          const bytes = assemble(open(), named);
          this.#uploads.delete(uploadId);
          this.#objects.set(key, { bytes, at: Date.now() });
          return { key, size: bytes.byteLength };
        }),
      abort: () =>
        this.#call("abort", key, () => {
          open();
          this.#uploads.delete(uploadId);
        }),
    };
  }
}

/** What bytes become. */
export function damaged(bytes: Uint8Array, how: Exclude<BlobDamage, "lost" | "unreadable">): Uint8Array {
  if (how === "cut short") return bytes.slice(0, bytes.byteLength - 1);
  return bytes.map((byte, index) => (index === bytes.byteLength - 1 ? byte ^ 1 : byte));
}

/** R2, "Multipart upload": all parts are of one size, but for the last, which may be smaller. */
function assemble({ parts }: OpenUpload, named: { partNumber: number; etag: string }[]): Uint8Array {
  const pieces = named.map(({ partNumber, etag }) => {
    const part = parts.get(partNumber);
    if (part?.etag !== etag) throw new Error("one of the parts was not found (10025)");
    return part.bytes;
  });
  const partBytes = pieces[0]?.byteLength ?? 0;
  const last = pieces.at(-1)?.byteLength ?? 0;
  if (last > partBytes || pieces.slice(0, -1).some((piece) => piece.byteLength !== partBytes)) {
    throw new Error("all parts but the last must have one size (10048)");
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function describe(stored: Stored | undefined): { size: number } | undefined {
  return stored && { size: stored.bytes.byteLength };
}

/** Whether an effect keeps an answer back although the call is done. */
function isUnanswered(effect: FaultEffect | undefined): boolean {
  return effect === "lost" || effect === "time out" || effect === "late";
}
