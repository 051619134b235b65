/**
 * Gives the bytes of a fetch to one client, at the client's pace: from memory while it keeps up, else from what is
 * stored, and at the end from where the bytes were adopted.
 */
import { meter } from "../../metrics/meter.ts";
import type { ByteRange } from "../../oci/http.ts";
import { algorithmOf, type Digest } from "../../oci/reference.ts";
import type { BlobQuestion } from "../../rpc/fetch-channel.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { BodyBroke, readPieces } from "../../storage/streams.ts";
import { mebibyte, second } from "../../units.ts";
import { RunningHash } from "../running-hash.ts";
import { askUpstream } from "./ask.ts";
import type { BlobFetch, Ending } from "./blob.ts";
import { FetchClient } from "./client.ts";
import type { FetchHost } from "./host.ts";
import { openFrom, piecesAsTheyCome } from "./pieces.ts";

/**
 * From how many bytes on what is stored is read, although it is in memory as well: that takes a third of the work, or
 * less.
 */
const leastStoredBytes = mebibyte;

/** How long a client waits for more to be stored without looking whether the upstream has become slow. */
const lookForStoredMs = 500;

/** How long a client waits without looking; the end is never missed for longer. */
const lookEveryMs = 5 * second;

/** A client that joins late asks the upstream for what it missed, if it would wait longer than this otherwise. */
const catchUpFromMs = 5 * second;
const mostCatchUps = 2;

/** The fetch ended before all bytes were given; the client's connection breaks. */
class FetchBroke extends Error {
  override name = "FetchBroke";
}

/**
 * What a client gets: a stream of all bytes, or the list of files that have them, which breaks where the fetch fails; or
 * how the fetch has ended.
 */
export type Served =
  | { how: "live" | "files"; sizeBytes: number; body: ReadableStream<Uint8Array> }
  | { ending: Ending };

/**
 * Serves a fetch to one client, once there are bytes to give: so what fails at once has a status of its own. Without a
 * size, the client could not tell bytes that broke off from all of them, so it gets none before the end: the runtime ends
 * a chunked answer that breaks off as if it were whole.
 */
export async function serveFetch(host: FetchHost, fetch: BlobFetch, question: BlobQuestion): Promise<Served> {
  const { takesFiles = false, upstream } = question;
  const reader = fetch.readers.join();
  const begunMs = performance.now();
  try {
    for (;;) {
      const { ending, sizeBytes } = fetch;
      if (ending !== undefined) return { ending };
      const leftMs = takesFiles ? begunMs + fetch.firstPartMs - performance.now() : 0;
      if (reader.isLive && fetch.released > 0 && sizeBytes !== undefined && leftMs <= 0) {
        const how = takesFiles && fetch.isFast ? "files" : "live";
        const { readable, writable } =
          how === "files" ? new IdentityTransformStream() : new FixedLengthStream(sizeBytes);
        const client = new FetchClient(fetch, reader, writable, upstream);
        const giving =
          how === "files" ? giveFiles(host, fetch, client) : giveBytes(host, fetch, client, question);
        host.waitUntil(endAfter(client, giving));
        return { how, sizeBytes, body: readable };
      }
      await fetch.arrived.wait(leftMs > 0 ? leftMs : lookEveryMs);
    }
  } finally {
    if (fetch.ending !== undefined) fetch.readers.leave(reader);
  }
}

async function endAfter(client: FetchClient, giving: Promise<void>): Promise<void> {
  try {
    await giving;
    await client.end();
  } catch (error) {
    // The client has gone, or must see that this is not all.
    await client.abort(error);
  }
}

async function giveBytes(
  host: FetchHost,
  fetch: BlobFetch,
  client: FetchClient,
  question: BlobQuestion,
): Promise<void> {
  const ending = await giveLive(host, fetch, client, question);
  if (!ending.ok) throw new FetchBroke(ending.error);
  await giveRest(host, client, ending.location);
}

/** Gives the files of what is stored, and at the end those of what was adopted; they are read at the client's pace. */
async function giveFiles({ bucket }: FetchHost, fetch: BlobFetch, client: FetchClient): Promise<void> {
  const upTo = (end: number): ByteRange => ({ offset: client.offset, length: end - client.offset });
  while (fetch.ending === undefined) {
    const range = upTo(fetch.readableBytes);
    const files = range.length > 0 ? fetch.stored.filesOf(range) : undefined;
    if (files === undefined) await fetch.grown.wait(lookEveryMs);
    else await client.name(range.length, files);
  }
  const { ending } = fetch;
  if (!ending.ok) throw new FetchBroke(ending.error);
  const rest = upTo(ending.location.sizeBytes);
  const files = await bucket.findFiles?.(ending.location, rest);
  if (files === undefined) throw new FetchBroke("what was adopted is gone");
  await client.name(rest.length, files);
}

/** Gives bytes while the fetch is under way; returns how it ended. */
async function giveLive(
  host: FetchHost,
  fetch: BlobFetch,
  client: FetchClient,
  question: BlobQuestion,
): Promise<Ending> {
  let hasLagged = false;
  while (fetch.ending === undefined) {
    if (fetch.readableBytes - client.offset >= leastStoredBytes && (await giveStored(fetch, client)))
      continue;
    if (fetch.isFast) {
      await fetch.grown.wait(lookForStoredMs);
      continue;
    }
    if (await client.takeRecent()) continue;
    if (client.offset < fetch.inMemoryFrom) {
      if (!hasLagged && client.offset > 0) meter.add("stowage_upstream_lagged_total", [question.upstream]);
      hasLagged = true;
      if ((await giveStored(fetch, client)) || (await catchUp(host, fetch, client, question))) continue;
    }
    await fetch.arrived.wait(lookEveryMs);
  }
  return fetch.ending;
}

/** Gives bytes that are stored but not adopted yet; false if they cannot be read. */
async function giveStored(fetch: BlobFetch, client: FetchClient): Promise<boolean> {
  const { offset } = client;
  const stored = await fetch.stored.read({ offset, length: fetch.readableBytes - offset });
  if (stored === undefined) return false;
  const { body, length } = stored;
  return client.pipe(length, (writable) => body.pipeTo(writable, { preventClose: true }).then(() => true));
}

/**
 * Gives a client that joined late what it missed, from another connection to the upstream; false if it is to wait. These
 * bytes are not those that are verified, so from now on all that the client gets is hashed.
 */
async function catchUp(
  host: FetchHost,
  fetch: BlobFetch,
  client: FetchClient,
  question: BlobQuestion,
): Promise<boolean> {
  const { digest, name } = question;
  const isLong = (fetch.msLeft ?? 0) > catchUpFromMs;
  if (fetch.stored.isReadable || client.offset > 0 || !isLong || fetch.catchUps >= mostCatchUps) return false;
  fetch.catchUps++;
  const asked = await askUpstream(host, question, `${name}@${digest}`, "blob", (remote) =>
    openFrom(remote, digest, 0),
  );
  if (!asked.ok) return false;
  client.hash = new RunningHash(algorithmOf(digest));
  try {
    for await (const piece of piecesAsTheyCome(asked.value.body, host.settings.upstreamTimeoutMs)) {
      const wanted = piece.subarray(0, Math.max(0, fetch.released - client.offset));
      await client.write(wanted);
      const isAhead = wanted.byteLength < piece.byteLength || client.offset >= fetch.inMemoryFrom;
      if (isAhead || fetch.ending !== undefined) break;
    }
  } catch (error) {
    if (!(error instanceof BodyBroke)) throw error;
    return false;
  }
  return true;
}

/**
 * Gives a client what follows from where the bytes were adopted. If its first ones were not verified, it gets the very
 * last only if all are right.
 */
async function giveRest({ bucket }: FetchHost, client: FetchClient, location: BlobLocation): Promise<void> {
  const { offset, hash } = client;
  const range = { offset, length: location.sizeBytes - offset };
  const isThere =
    hash === undefined
      ? await client.pipe(range.length, (writable) => bucket.pipe(location, range, writable))
      : await giveHashed(client, hash, location.digest, await bucket.read(location, range));
  if (!isThere) throw new FetchBroke("what was adopted is gone");
}

async function giveHashed(
  client: FetchClient,
  hash: RunningHash,
  digest: Digest,
  rest: ReadableStream<Uint8Array> | undefined,
): Promise<boolean> {
  if (rest === undefined) return false;
  let last = new Uint8Array();
  for await (const piece of readPieces(rest)) {
    await client.write(last);
    last = piece.slice();
  }
  client.hash = undefined;
  hash.update(last);
  if (hash.finish().digest !== digest)
    throw new FetchBroke("what the upstream sent again has another digest");
  await client.write(last);
  return true;
}
