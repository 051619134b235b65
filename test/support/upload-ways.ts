/** Every way in which clients push a blob. */
import type { Body, Client } from "./client.ts";
import { streamOf } from "./content.ts";

/** Pushes a blob to a repository; returns its location. */
export type Way = (repository: string, bytes: Uint8Array, digest: string) => Promise<string>;

const half = (bytes: Uint8Array) => Math.ceil(bytes.byteLength / 2);

/** The `Content-Range` of the bytes from one offset to another, without the latter. */
export const chunkRange = (from: number, to: number) => ({ "Content-Range": `${from}-${to - 1}` });

/** Closes a session, with or without more bytes; returns the blob's location. */
export async function closeSession(
  client: Client,
  location: string,
  digest: string,
  body?: Body,
  headers: Record<string, string> = {},
) {
  const target = `${location}?digest=${digest}`;
  const closed = await client.must(201, "PUT", target, body === undefined ? { headers } : { body, headers });
  return closed.header("Location");
}

/** The ways, by what they do. */
export function uploadWays(client: Client): Record<string, Way> {
  return {
    "a single POST": async (repository, body, digest) => {
      const posted = await client.must(201, "POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, {
        body,
      });
      return posted.header("Location");
    },
    "a single POST without length": async (repository, bytes, digest) => {
      const target = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      return (await client.must(201, "POST", target, { body: streamOf(bytes) })).header("Location");
    },
    "POST, then PUT": async (repository, bytes, digest) =>
      closeSession(client, await client.openUpload(repository), digest, bytes),
    "POST, then PUT without length": async (repository, bytes, digest) =>
      closeSession(client, await client.openUpload(repository), digest, streamOf(bytes)),
    "a streamed PATCH, then an empty PUT": async (repository, bytes, digest) =>
      closeSession(client, await client.patch(await client.openUpload(repository), streamOf(bytes)), digest),
    "a PATCH with length, then an empty PUT": async (repository, bytes, digest) =>
      closeSession(client, await client.patch(await client.openUpload(repository), bytes), digest),
    "two chunks, then an empty PUT": async (repository, bytes, digest) => {
      const middle = half(bytes);
      let location = await client.openUpload(repository);
      location = await client.patch(location, bytes.slice(0, middle), chunkRange(0, middle));
      location = await client.patch(location, bytes.slice(middle), chunkRange(middle, bytes.byteLength));
      return closeSession(client, location, digest);
    },
    "two chunks in the form of RFC 9110": async (repository, bytes, digest) => {
      const [middle, size] = [half(bytes), bytes.byteLength];
      let location = await client.openUpload(repository);
      const first = { "Content-Range": `bytes 0-${middle - 1}/*` };
      const second = { "Content-Range": `bytes ${middle}-${size - 1}/${size}` };
      location = await client.patch(location, bytes.slice(0, middle), first);
      location = await client.patch(location, bytes.slice(middle), second);
      return closeSession(client, location, digest);
    },
    "a chunk, then a PUT with the last one": async (repository, bytes, digest) => {
      const middle = half(bytes);
      const location = await client.patch(await client.openUpload(repository), bytes.slice(0, middle));
      return closeSession(
        client,
        location,
        digest,
        bytes.slice(middle),
        chunkRange(middle, bytes.byteLength),
      );
    },
    "a chunk, then a PUT with the rest, without range or length": async (repository, bytes, digest) => {
      const middle = half(bytes);
      const location = await client.patch(await client.openUpload(repository), bytes.slice(0, middle));
      return closeSession(client, location, digest, streamOf(bytes.slice(middle)));
    },
    "a chunk without length but with range, then a PUT": async (repository, bytes, digest) => {
      const opened = await client.openUpload(repository);
      const location = await client.patch(opened, streamOf(bytes), chunkRange(0, bytes.byteLength));
      return closeSession(client, location, digest);
    },
    "all chunks at the first location": async (repository, bytes, digest) => {
      const middle = half(bytes);
      const location = await client.openUpload(repository);
      await client.patch(location, bytes.slice(0, middle), chunkRange(0, middle));
      await client.patch(location, bytes.slice(middle), chunkRange(middle, bytes.byteLength));
      return closeSession(client, location, digest);
    },
  };
}
