/**
 * Gives the bytes of a fetch to one client, at the client's pace: from memory while it keeps up, else from what is
 * stored, and at the end from where the bytes were adopted.
 */
import { meter } from "../../metrics/meter.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { BodyBroke, readPieces } from "../../storage/streams.ts";
import { second } from "../../units.ts";
import type { BlobFetch, Ending, Reader } from "./blob.ts";
import type { FetchHost } from "./host.ts";

/** How many clients read along; more wait for the end, and read what was adopted. */
const mostLive = 16;

/** How long a client waits without looking; the end is never missed for longer. */
const lookEveryMs = 5 * second;

/** The fetch ended before all bytes were given; the client's connection breaks. */
class FetchBroke extends Error {
  override name = "FetchBroke";
}

/** What a client gets: a stream of all bytes, which breaks where the fetch fails; or how the fetch has ended. */
export type Served =
  | { isLive: true; sizeBytes: number; body: ReadableStream<Uint8Array> }
  | { isLive: false; ending: Ending };

/**
 * Serves a fetch to one client, once there are bytes to give: so what fails at once has a status of its own. Without a
 * size, the client could not tell bytes that broke off from all of them, so it gets none before the end.
 *
 * @param upstream the id, for the metrics
 */
export async function serveFetch(host: FetchHost, fetch: BlobFetch, upstream: string): Promise<Served> {
  const isLive = fetch.liveReaders().length < mostLive;
  const reader: Reader = { offset: 0, isLive };
  fetch.readers.add(reader);
  try {
    for (;;) {
      const { ending, sizeBytes } = fetch;
      if (ending !== undefined) return { isLive: false, ending };
      if (isLive && fetch.released > 0 && sizeBytes !== undefined) {
        const { readable, writable } = new FixedLengthStream(sizeBytes);
        host.waitUntil(give(host, fetch, reader, writable, upstream));
        return { isLive: true, sizeBytes, body: readable };
      }
      await fetch.arrived.wait(lookEveryMs);
    }
  } finally {
    if (fetch.ending !== undefined) fetch.noteGone(reader);
  }
}

async function give(
  host: FetchHost,
  fetch: BlobFetch,
  reader: Reader,
  writable: WritableStream<Uint8Array>,
  upstream: string,
): Promise<void> {
  const writer = writable.getWriter();
  const write = async (bytes: Uint8Array) => {
    await writer.write(bytes);
    reader.offset += bytes.byteLength;
    meter.add("stowage_upstream_bytes_total", [upstream, "served"], bytes.byteLength);
    fetch.noteMoved();
  };
  try {
    const ending = await giveLive(fetch, reader, write, upstream);
    if (!ending.ok) throw new FetchBroke(ending.error);
    await giveRest(host, ending.location, reader.offset, write);
    await writer.close();
  } catch (error) {
    // The client has gone, or must see that this is not all.
    await writer.abort(error).catch(() => {});
  } finally {
    fetch.noteGone(reader);
  }
}

type Write = (bytes: Uint8Array) => Promise<void>;

/** Gives bytes while the fetch is under way; returns how it ended. */
async function giveLive(fetch: BlobFetch, reader: Reader, write: Write, upstream: string): Promise<Ending> {
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
      if (await giveStored(fetch, reader, write)) continue;
    }
    await fetch.arrived.wait(lookEveryMs);
  }
  return fetch.ending;
}

/** Gives bytes that are stored but not adopted yet; false if there are none. */
async function giveStored(fetch: BlobFetch, reader: Reader, write: Write): Promise<boolean> {
  const from = reader.offset;
  try {
    const stored = await fetch.stored.read(from);
    if (stored !== undefined) await writeAll(stored, write);
  } catch (error) {
    // Bytes that were here already are adopted in the place of these, which are deleted then.
    if (!(error instanceof BodyBroke)) throw error;
  }
  return reader.offset > from;
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
