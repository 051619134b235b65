import assert from "node:assert/strict";
import test from "node:test";
import { blobReader } from "../../../src/client/blob-reader.ts";
import { RegistryError } from "../../../src/client/errors.ts";
import type { BlobRange } from "../../../src/client/ranges.ts";
import { RemoteRepository } from "../../../src/client/repository.ts";
import type { Digest, RepositoryName } from "../../../src/oci/reference.ts";
import { content, digestOf } from "../../support/content.ts";
import { type FakeRegistry, fakeRegistry, TestTiming, transportTo } from "./fake-registry.ts";

const bytes = content(4000);
const digest = digestOf(bytes) as Digest;

/** A registry that sends a thousand bytes from where it is asked to, and then ends the connection some times. */
async function breakingOff(times: number): Promise<FakeRegistry> {
  let left = times;
  return await fakeRegistry(({ request }, response) => {
    const [, start = "0"] = /^bytes=(\d+)-/.exec(request.headers.range ?? "") ?? [];
    const rest = bytes.subarray(Number(start));
    response.writeHead(request.headers.range === undefined ? 200 : 206, {
      "Content-Length": rest.byteLength,
      "Content-Range": `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}`,
    });
    if (left-- > 0) response.write(rest.subarray(0, left % 2 === 0 ? 1000 : 0), () => response.destroy());
    else response.end(rest);
  });
}

function readerOf(registry: FakeRegistry) {
  const { transport, timing } = transportTo(registry);
  const repository = new RemoteRepository(transport, "team/app" as RepositoryName, ["pull"]);
  return { timing, reader: blobReader(repository, digest, bytes.byteLength, { timing }) };
}

test("a blob that breaks off is read on from there, up to its end by number", async () => {
  const registry = await breakingOff(3);
  const { reader } = readerOf(registry);
  const buffer = new Uint8Array(bytes.byteLength);
  assert.equal(await reader.read(buffer, 0), bytes.byteLength);
  assert.deepEqual(buffer, bytes);
  const ranges = registry.seen.flatMap(({ request }) => request.headers.range ?? []);
  assert(ranges.length > 0);
  for (const range of ranges) assert.match(range, /^bytes=\d+-3999$/);
});

test("one that breaks off again and again is given up, with an error that names it", async () => {
  const { reader, timing } = readerOf(await breakingOff(Number.POSITIVE_INFINITY));
  await assert.rejects(reader.read(new Uint8Array(bytes.byteLength), 0), (error: unknown) => {
    assert(error instanceof RegistryError, String(error));
    assert.equal(error.kind, "broken");
    assert.match(error.message, new RegExp(`^blob ${digest}: it broke off: `));
    return true;
  });
  assert.equal(timing.pauses.length, 5);
});

test("one that stands still for five minutes is read on from there", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asked: number[] = [];
  let isCancelled = false;
  const repository = {
    openBlob: async (_: Digest, { range }: { range: BlobRange }) => {
      asked.push(range.offset);
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(new Uint8Array(bytes.subarray(range.offset, range.offset + 3000)));
        },
        cancel: () => {
          isCancelled = true;
        },
      });
      return { body, size: undefined };
    },
  } as unknown as RemoteRepository;
  const reader = blobReader(repository, digest, bytes.byteLength, { timing: new TestTiming() });
  const buffer = new Uint8Array(bytes.byteLength);
  const reading = reader.read(buffer, 0);
  for (const milliseconds of [299_999, 1]) {
    await new Promise(setImmediate);
    assert.deepEqual([asked, isCancelled], [[0], false]);
    t.mock.timers.tick(milliseconds);
  }
  assert.equal(await reading, bytes.byteLength);
  assert.deepEqual([asked, isCancelled, buffer], [[0, 3000], true, bytes]);
});
