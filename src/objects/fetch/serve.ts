/**
 * Gives the bytes of a fetch to one client, at the client's pace: from memory while it keeps up, else from what is
 * stored, and at the end from where the bytes were adopted.
 */
import { meter } from "../../metrics/meter.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { readPieces } from "../../storage/streams.ts";
import { second } from "../../units.ts";
import type { BlobFetch, Reader } from "./blob.ts";
import type { FetchHost } from "./host.ts";

/** How many clients read along; more wait for the end. */
const mostLive = 16;

/** How long a client waits without looking; the end is never missed for longer. */
const lookEveryMs = 5 * second;

/** The fetch ended before all bytes were given; the client's connection breaks. */
class FetchBroke extends Error {
  override name = "FetchBroke";
}

/**
 * A stream of the whole blob. It breaks where the fetch fails.
 *
 * @param upstream the id, for the metrics
 */
export function streamOf(
  host: FetchHost,
  fetch: BlobFetch,
  sizeBytes: number,
  upstream: string,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(sizeBytes);
  host.waitUntil(give(host, fetch, writable, upstream));
  return readable;
}

async function give(
  host: FetchHost,
  fetch: BlobFetch,
  writable: WritableStream<Uint8Array>,
  upstream: string,
): Promise<void> {
  const live = [...fetch.readers].filter(({ isLive }) => isLive);
  const reader: Reader = { offset: 0, isLive: live.length < mostLive };
  fetch.readers.add(reader);
  const writer = writable.getWriter();
  const write = async (bytes: Uint8Array) => {
    await writer.write(bytes);
    reader.offset += bytes.byteLength;
    meter.add("stowage_upstream_bytes_total", [upstream, "served"], bytes.byteLength);
    fetch.noteMoved();
  };
  try {
    if (reader.isLive) await giveLive(fetch, reader, write, upstream);
    while (fetch.ending === undefined) await fetch.arrived.wait(lookEveryMs);
    if (!fetch.ending.ok) throw new FetchBroke(fetch.ending.error);
    await giveRest(host, fetch.ending.location, reader.offset, write);
    await writer.close();
  } catch (error) {
    // The client has gone, or must see that this is not all.
    await writer.abort(error).catch(() => {});
  } finally {
    fetch.noteGone(reader);
  }
}

type Write = (bytes: Uint8Array) => Promise<void>;

/** Gives bytes while the fetch is under way. */
async function giveLive(fetch: BlobFetch, reader: Reader, write: Write, upstream: string): Promise<void> {
  let hasLagged = false;
  while (fetch.ending === undefined) {
    const bytes = fetch.read(reader.offset);
    if (bytes !== undefined) {
      await write(bytes);
      continue;
    }
    if (reader.offset < fetch.inMemoryFrom) {
      if (!hasLagged && reader.offset > 0) meter.add("stowage_upstream_lagged_total", [upstream]);
      hasLagged = true;
      const stored: ReadableStream | undefined = await fetch.stored.read(reader.offset);
      if (stored !== undefined) {
        await writeAll(stored, write);
        continue;
      }
    }
    await fetch.arrived.wait(lookEveryMs);
  }
}

/** Gives the bytes from an offset on from where they are now. */
async function giveRest(
  { bucket }: FetchHost,
  location: BlobLocation,
  offset: number,
  write: Write,
): Promise<void> {
  const length = location.sizeBytes - offset;
  if (length <= 0) return;
  const body = await bucket.read(location, { offset, length });
  if (body === undefined) throw new FetchBroke("what was adopted is gone");
  await writeAll(body, write);
}

async function writeAll(body: ReadableStream<Uint8Array>, write: Write): Promise<void> {
  let isDone = false;
  try {
    for await (const piece of readPieces(body)) await write(piece);
    isDone = true;
  } finally {
    if (!isDone) await body.cancel().catch(() => {});
  }
}
