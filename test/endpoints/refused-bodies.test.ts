import assert from "node:assert/strict";
import test from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { startRegistry } from "../support/registry.ts";

// A server that answers and stops reading resets the connection, and the client never sees the answer.
const registry = await startRegistry();
const body = new Uint8Array(40_000_000);

async function statuses(send: () => Promise<{ status: number }>): Promise<number[]> {
  const answers = await Promise.all([send(), send(), send(), send()]);
  return answers.map(({ status }) => status);
}

test("a client that sends much is told why it is refused: an upload that is unknown", async () => {
  const send = () => registry.send("PATCH", "/v2/a/blobs/uploads/forged", { body });
  assert.deepEqual(await statuses(send), [404, 404, 404, 404]);
});

test("a client that sends much is told why it is refused: a chunk at the wrong place", async () => {
  const send = async () => {
    const opened = await registry.send("POST", "/v2/a/blobs/uploads/");
    const headers = { "Content-Range": `5-${4 + body.byteLength}` };
    return registry.send("PATCH", opened.header("Location"), { headers, body });
  };
  assert.deepEqual(await statuses(send), [416, 416, 416, 416]);
});

test("a client that sends much is told why it is refused: a manifest that is too large", async () => {
  const headers = { "Content-Type": imageManifestType };
  const send = () => registry.send("PUT", "/v2/a/manifests/large", { headers, body });
  assert.deepEqual(await statuses(send), [413, 413, 413, 413]);
});
