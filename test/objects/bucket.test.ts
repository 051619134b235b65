/** What every bucket promises: R2 in Miniflare, and the disk of one machine. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ByteRange } from "../../src/oci/http.ts";
import type { Digest } from "../../src/oci/reference.ts";
import type { MultipartUpload, StoredPage, StoredPart } from "../../src/storage/bucket.ts";
import type { BucketCall } from "../support/bucket-worker.ts";
import { fetchOnce } from "../support/client.ts";
import { content, digestOf, mebibyte, unknownDigest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { temporaryData } from "../support/temporary.ts";

const dataDirectory = temporaryData();
const entry = join(import.meta.dirname, "../support/bucket-worker.ts");
const { url } = await startRegistry({ entry, dataDirectory, bucket: "disk" });
const partBytes = 5 * mebibyte;

/** A bucket, through the Worker that has it. */
function remote(kind: "r2" | "disk") {
  const send = (method: string, given: BucketCall, body?: Uint8Array) =>
    fetchOnce(`${url}/${kind}/${method}`, {
      method: "POST",
      headers: { call: JSON.stringify(given) },
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
  const call = async <T>(method: string, given: BucketCall, body?: Uint8Array): Promise<T> => {
    const answer = (await (await send(method, given, body)).json()) as { result: T; failure?: string };
    if (answer.failure !== undefined) throw new Error(answer.failure);
    return answer.result;
  };
  return {
    sizeOf: (key: string) => call<number | undefined>("sizeOf", { key }),
    write: (key: string, bytes: Uint8Array, digest = digestOf(bytes)) =>
      call<string>("write", { key, digest: digest as Digest }, bytes),
    writeStream: (key: string, bytes: Uint8Array, digest = digestOf(bytes), sizeBytes = bytes.byteLength) =>
      call<string>("writeStream", { key, digest: digest as Digest, sizeBytes }, bytes),
    startMultipart: (key: string) => call<MultipartUpload>("startMultipart", { key }),
    writePart: (upload: MultipartUpload, partNumber: number, bytes: Uint8Array) =>
      call<StoredPart>("writePart", { upload, partNumber }, bytes),
    streamPart: (upload: MultipartUpload, partNumber: number, bytes: Uint8Array) =>
      call<StoredPart>("streamPart", { upload, partNumber }, bytes),
    abortPart: (upload: MultipartUpload, bytes: Uint8Array) =>
      call<undefined>("streamPart", { upload, partNumber: 0 }, bytes),
    completeMultipart: (upload: MultipartUpload, parts: StoredPart[]) =>
      call<string>("completeMultipart", { upload, parts }),
    abortMultipart: (upload: MultipartUpload) => call<undefined>("abortMultipart", { upload }),
    list: (cursor: string | undefined, limit: number) =>
      call<StoredPage>("list", { limit, ...(cursor === undefined ? {} : { cursor }) }),
    delete: (keys: string[]) => call<undefined>("delete", { keys }),
    /** `sizeBytes`: the size that is expected; that which it has, if it is left out. */
    read: async (key: string, range?: ByteRange, sizeBytes?: number) => {
      const response = await send("read", {
        key,
        ...(range === undefined ? {} : { range }),
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
      });
      if (response.status === 404) return undefined;
      assert.equal(response.status, 200, "the answer");
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(response.headers.get("Content-Length"), String(bytes.byteLength));
      return bytes;
    },
  };
}

type Remote = ReturnType<typeof remote>;

const newKey = () => `blobs/${randomUUID()}`;

/** Stores bytes in parts that end at these places. */
async function storeParts(bucket: Remote, key: string, bytes: Uint8Array, ends: number[]) {
  const upload = await bucket.startMultipart(key);
  const parts: StoredPart[] = [];
  let start = 0;
  for (const end of [...ends, bytes.byteLength]) {
    parts.push(await bucket.writePart(upload, parts.length + 1, bytes.subarray(start, end)));
    start = end;
  }
  return { upload, parts };
}

const promises: Record<string, (bucket: Remote) => Promise<void>> = {
  "what was written is read, and has its size": async (bucket) => {
    for (const size of [0, 1, 3 * mebibyte + 1]) {
      for (const way of ["write", "writeStream"] as const) {
        if (size === 0 && way === "writeStream") continue;
        const [key, bytes] = [newKey(), content(size)];
        assert.equal(await bucket[way](key, bytes), "stored");
        assert.equal(await bucket.sizeOf(key), size);
        assert.deepEqual(await bucket.read(key), bytes);
      }
    }
  },
  "sha512 is verified too": async (bucket) => {
    const [key, bytes] = [newKey(), content()];
    assert.equal(await bucket.write(key, bytes, digestOf(bytes, "sha512")), "stored");
    assert.equal(await bucket.write(newKey(), bytes, unknownDigest("sha512")), "mismatch");
  },
  "what has another digest is not stored": async (bucket) => {
    for (const way of ["write", "writeStream"] as const) {
      const key = newKey();
      assert.equal(await bucket[way](key, content(2 * mebibyte), unknownDigest()), "mismatch");
      assert.equal(await bucket.sizeOf(key), undefined);
      assert.equal(await bucket.read(key), undefined);
    }
  },
  "what has another length than was announced fails, and is not stored": async (bucket) => {
    for (const difference of [-1, 1]) {
      const [key, bytes] = [newKey(), content(mebibyte)];
      await assert.rejects(
        bucket.writeStream(key, bytes, digestOf(bytes), bytes.byteLength + difference),
        /BucketFailed/,
      );
      assert.equal(await bucket.sizeOf(key), undefined);
    }
  },
  "ranges are read from one put and across parts": async (bucket) => {
    const bytes = content(2 * partBytes + 100);
    const [put, parts] = [newKey(), newKey()];
    await bucket.write(put, bytes);
    const stored = await storeParts(bucket, parts, bytes, [partBytes, 2 * partBytes]);
    assert.equal(await bucket.completeMultipart(stored.upload, stored.parts), "completed");
    const ranges = [
      [0, 1],
      [0, bytes.byteLength],
      [partBytes - 1, 2],
      [partBytes, partBytes],
      [partBytes - 1, partBytes + 2],
      [2 * partBytes, 100],
      [bytes.byteLength - 1, 1],
    ] as const;
    for (const key of [put, parts]) {
      assert.equal(await bucket.sizeOf(key), bytes.byteLength);
      assert.deepEqual(await bucket.read(key), bytes);
      for (const [offset, length] of ranges) {
        const read = await bucket.read(key, { offset, length });
        assert.deepEqual(read, bytes.slice(offset, offset + length), `${length} bytes at ${offset}`);
      }
    }
  },
  "what has another size than is expected is not read": async (bucket) => {
    const bytes = content(partBytes + 100);
    const [put, parts] = [newKey(), newKey()];
    await bucket.write(put, bytes);
    const stored = await storeParts(bucket, parts, bytes, [partBytes]);
    await bucket.completeMultipart(stored.upload, stored.parts);
    for (const key of [put, parts]) {
      for (const expected of [bytes.byteLength - 1, bytes.byteLength + 1]) {
        assert.equal(await bucket.read(key, undefined, expected), undefined);
        assert.equal(await bucket.read(key, { offset: 10, length: 10 }, expected), undefined);
      }
      assert.deepEqual(await bucket.read(key, undefined, bytes.byteLength), bytes);
    }
  },
  "what was not completed is not there": async (bucket) => {
    const key = newKey();
    await storeParts(bucket, key, content(partBytes + 1), [partBytes]);
    assert.equal(await bucket.sizeOf(key), undefined);
    assert.equal(await bucket.read(key), undefined);
  },
  "an upload that was aborted, once or twice, cannot be completed": async (bucket) => {
    const key = newKey();
    const { upload, parts } = await storeParts(bucket, key, content(), []);
    await bucket.abortMultipart(upload);
    await bucket.abortMultipart(upload);
    assert.equal(await bucket.completeMultipart(upload, parts), "unknown");
    assert.equal(await bucket.sizeOf(key), undefined);
  },
  "an upload that was completed stays when it is completed or aborted again": async (bucket) => {
    const [key, bytes] = [newKey(), content(partBytes + 1)];
    const { upload, parts } = await storeParts(bucket, key, bytes, [partBytes]);
    assert.equal(await bucket.completeMultipart(upload, parts), "completed");
    assert.match(await bucket.completeMultipart(upload, parts), /^(completed|unknown)$/);
    await bucket.abortMultipart(upload);
    assert.deepEqual(await bucket.read(key), bytes);
  },
  "a part that is written again counts once": async (bucket) => {
    const [key, bytes] = [newKey(), content(1000)];
    const upload = await bucket.startMultipart(key);
    await bucket.writePart(upload, 1, content(2000));
    const parts = [await bucket.writePart(upload, 1, bytes)];
    assert.equal(await bucket.completeMultipart(upload, parts), "completed");
    assert.deepEqual(await bucket.read(key), bytes);
  },
  "what is stored is listed, page by page": async (bucket) => {
    const began = Date.now();
    const keys = [newKey(), newKey(), newKey()];
    for (const key of keys) await bucket.write(key, content());
    const listed: StoredPage["objects"] = [];
    let cursor: string | undefined;
    do {
      const page = await bucket.list(cursor, 2);
      assert(page.objects.length <= 2);
      listed.push(...page.objects);
      cursor = page.cursor;
    } while (cursor !== undefined);
    assert.equal(new Set(listed.map(({ key }) => key)).size, listed.length);
    for (const key of keys) {
      const storedAtMs = listed.find((object) => object.key === key)?.storedAtMs ?? 0;
      // The time of a file may be coarser than the clock's.
      assert(storedAtMs >= began - 1000 && storedAtMs <= Date.now() + 1000, String(storedAtMs));
    }
  },
  "deleted keys hold nothing; those that held nothing are passed over": async (bucket) => {
    const [put, parts] = [newKey(), newKey()];
    await bucket.write(put, content());
    const stored = await storeParts(bucket, parts, content(partBytes + 1), [partBytes]);
    await bucket.completeMultipart(stored.upload, stored.parts);
    await bucket.delete([put, newKey(), parts]);
    for (const key of [put, parts]) {
      assert.equal(await bucket.sizeOf(key), undefined);
      assert.equal(await bucket.read(key), undefined);
    }
  },
};

for (const kind of ["r2", "disk"] as const) {
  for (const [promise, keeps] of Object.entries(promises))
    test(`${kind}: ${promise}`, () => keeps(remote(kind)));
}

const disk = remote("disk");
const folderOf = (key: string) => join(dataDirectory, "files", key);
const wholeOf = (key: string) => folderOf(key).replace("blobs", "wholes");

test("disk: streamed parts of any size become the blob", async () => {
  const [key, bytes] = [newKey(), content(3 * mebibyte)];
  const upload = await disk.startMultipart(key);
  const cuts = [0, 1, mebibyte + 1, bytes.byteLength];
  const parts: StoredPart[] = [];
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    parts.push(await disk.streamPart(upload, index + 1, bytes.subarray(start, cuts[index + 1])));
  }
  assert.equal(await disk.completeMultipart(upload, parts), "completed");
  assert.deepEqual(await disk.read(key), bytes);
  assert.deepEqual(await disk.read(key, { offset: 0, length: 2 }), bytes.slice(0, 2));
});

test("disk: a part that is given up leaves no file", async () => {
  const key = newKey();
  const upload = await disk.startMultipart(key);
  await disk.writePart(upload, 1, content());
  await disk.abortPart(upload, content(mebibyte));
  assert.equal(readdirSync(folderOf(key)).length, 1);
});

test("disk: what is put at once and breaks off, or has another digest, leaves no file", async () => {
  const bytes = content(mebibyte);
  const [broken, wrong] = [newKey(), newKey()];
  await assert.rejects(disk.writeStream(broken, bytes, digestOf(bytes), 2 * mebibyte), /BucketFailed/);
  assert.equal(await disk.writeStream(wrong, bytes, unknownDigest()), "mismatch");
  for (const key of [broken, wrong]) assert.equal(existsSync(folderOf(key)), false);
});

test("disk: completing deletes what was broken off, also what the disk service hides", async () => {
  const [key, bytes] = [newKey(), content()];
  const { upload, parts } = await storeParts(disk, key, bytes, []);
  writeFileSync(join(folderOf(key), ".kj-tmp.1.1.part.partial"), "left over");
  writeFileSync(join(folderOf(key), randomUUID()), "cut short");
  assert.equal(await disk.completeMultipart(upload, parts), "completed");
  assert.equal(readdirSync(folderOf(key)).length, 2);
  assert.deepEqual(await disk.read(key), bytes);
});

test("disk: parts of which a file is missing or cut short are not completed", async () => {
  for (const damage of [rmSync, (file: string) => truncateSync(file, 10)]) {
    const key = newKey();
    const { upload, parts } = await storeParts(disk, key, content(), []);
    const [name = ""] = readdirSync(folderOf(key));
    damage(join(folderOf(key), name));
    assert.equal(await disk.completeMultipart(upload, parts), "unknown");
    assert.equal(await disk.sizeOf(key), undefined);
  }
});

test("disk: what is put at once is one file in a folder that others share", async () => {
  const [key, bytes] = [newKey(), content()];
  mkdirSync(folderOf(key), { recursive: true });
  writeFileSync(join(folderOf(key), ".kj-tmp.1.1.whole.partial"), "left over");
  await disk.write(key, bytes);
  assert.deepEqual(new Uint8Array(readFileSync(wholeOf(key))), bytes);
  assert(!existsSync(folderOf(key)));
  // An attempt that was given up ends late, and cut short.
  mkdirSync(folderOf(key));
  writeFileSync(join(folderOf(key), "whole"), bytes.subarray(1));
  assert.equal(await disk.sizeOf(key), bytes.byteLength);
  assert.deepEqual(await disk.read(key), bytes);
  await disk.delete([key]);
  assert(!existsSync(wholeOf(key)) && !existsSync(folderOf(key)));
});

test("disk: what an earlier release put at once is read, listed and deleted", async () => {
  const [key, bytes] = [newKey(), content(2 * mebibyte)];
  mkdirSync(folderOf(key), { recursive: true });
  writeFileSync(join(folderOf(key), "whole"), bytes);
  assert.equal(await disk.sizeOf(key), bytes.byteLength);
  assert.deepEqual(await disk.read(key), bytes);
  const range = { offset: mebibyte - 1, length: 2 };
  assert.deepEqual(await disk.read(key, range), bytes.slice(mebibyte - 1, mebibyte + 1));
  const { objects } = await disk.list(undefined, 1000);
  assert(objects.some((each) => each.key === key));
  await disk.delete([key]);
  assert(!existsSync(folderOf(key)));
  assert.equal(await disk.read(key), undefined);
});

test("disk: what cannot be written is a failure", async () => {
  const key = newKey();
  const { upload } = await storeParts(disk, key, content(), []);
  await disk.delete([key]);
  writeFileSync(folderOf(key), "a file where the folder should be");
  await assert.rejects(disk.writePart(upload, 1, content(2 * mebibyte)), /BucketFailed/);
  await assert.rejects(disk.write(key, content()), /BucketFailed/);
  await disk.delete([key]);
  assert(!existsSync(folderOf(key)));
});
