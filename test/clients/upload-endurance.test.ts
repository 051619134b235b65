/** A large blob, pushed in chunks of every size over connections that break. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { Content } from "./support/content.ts";
import { bytesAt, chunk, download, nextUrl, send, sendAndCut } from "./support/raw-client.ts";
import { freePort, startServer } from "./support/server.ts";

const mebibyte = 1024 * 1024;
const blobBytes = 1024 * mebibyte;
const chunkCount = 100;
const maxChunkBytes = 40 * mebibyte;
/** The chunks in whose middle the connection is cut; the first one's session has no acknowledged byte yet. */
const cutChunks = [0, 17, 42, 43, 99];

/** 100 sizes that sum up to the blob: one byte, 40 MiB, around the size of a part, and uneven ones. */
function chunkSizes(): number[] {
  const sizes = [3 * mebibyte + 11, 1, 1, 2, 17, 4095, 4096, 65_537, 5 * mebibyte - 1, 5 * mebibyte];
  sizes.push(5 * mebibyte + 1, maxChunkBytes, maxChunkBytes - 1, 256 * 1024, 1);
  const given = sizes.reduce((sum, size) => sum + size, 0);
  const open = chunkCount - sizes.length;
  const even = Math.floor((blobBytes - given) / open);
  for (let index = 0; index < open - 1; index++) {
    const swing = Math.floor((even * (index >> 1) * 1.9) / open);
    sizes.push(index % 2 === 0 ? even - swing : even + swing);
  }
  sizes.push(blobBytes - sizes.reduce((sum, size) => sum + size, 0));
  return sizes;
}

/** Pushes one chunk, over a connection that is cut in its middle, and then the rest of it over another one. */
async function pushCutChunk(t: TestContext, session: URL, content: Content, offset: number, end: number) {
  const middle = offset + Math.ceil((end - offset) / 2);
  await sendAndCut(session, { ...chunk(content, offset, end), body: content.pieces(offset, middle) });
  const status = await send(session, { method: "GET" });
  assert.equal(status.status, 204, status.text);
  const resumeAt = bytesAt(status);
  t.diagnostic(
    `cut after ${middle - offset} of ${end - offset} bytes, of which ${resumeAt - offset} are kept`,
  );
  assert(resumeAt >= offset && resumeAt <= middle, `${resumeAt} is from ${offset} to ${middle}`);
  return await send(nextUrl(session, status), chunk(content, resumeAt, end));
}

test("a blob of 1 GiB in 100 uneven chunks, with five cut connections, comes back equal", async (t) => {
  const sizes = chunkSizes();
  assert.equal(sizes.length, chunkCount);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    blobBytes,
  );
  assert.equal(Math.min(...sizes), 1);
  assert.equal(Math.max(...sizes), maxChunkBytes);

  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
  const content = new Content("endurance", blobBytes);
  const opened = await send(`${server.url}/v2/endurance/blobs/uploads/`, { method: "POST" });
  assert.equal(opened.status, 202, opened.text);
  let session = nextUrl(server.url, opened);
  let offset = 0;
  for (const [index, size] of sizes.entries()) {
    const end = offset + size;
    const answer = cutChunks.includes(index)
      ? await pushCutChunk(t, session, content, offset, end)
      : await send(session, chunk(content, offset, end));
    assert.equal(answer.status, 202, `chunk ${index} of ${size} bytes: ${answer.text}`);
    assert.equal(answer.headers.range, `0-${end - 1}`);
    session = nextUrl(session, answer);
    offset = end;
  }

  const digest = content.digest();
  session.searchParams.set("digest", digest);
  const closed = await send(session, { method: "PUT", headers: { "Content-Length": "0" } });
  assert.equal(closed.status, 201, closed.text);
  assert.equal(closed.headers["docker-content-digest"], digest);
  const url = `${server.url}/v2/endurance/blobs/${digest}`;
  assert.deepEqual(await download(url), { status: 200, digest, sizeBytes: blobBytes });
  await server.stop();
});
