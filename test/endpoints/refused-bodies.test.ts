import assert from "node:assert/strict";
import test from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { content, digestOf, mebibyte } from "../support/content.ts";
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

test("a client that sends much where nothing is taken gets its answer all the same", async () => {
  const { digest, layers } = await registry.pushImage("a", "v1", [content(), content(2 * mebibyte)]);
  const requests: [number, string, string][] = [
    [200, "GET", `/v2/a/manifests/${digest}`],
    [200, "GET", `/v2/a/blobs/${layers[0]}`],
    [200, "GET", `/v2/a/blobs/${layers[1]}`],
    [200, "HEAD", `/v2/a/manifests/${digest}`],
    [404, "HEAD", "/v2/a/manifests/none"],
    [202, "POST", "/v2/a/blobs/uploads/"],
    [201, "POST", `/v2/a/blobs/uploads/?mount=${layers[0]}&from=a`],
  ];
  for (const [status, method, path] of requests) {
    const send = () => registry.send(method, path, { body });
    assert.deepEqual(await statuses(send), [status, status, status, status], `${method} ${path}`);
  }
});

test("a client that closes an upload again, with its last bytes, gets its answer all the same", async () => {
  const chunk = new Uint8Array(1000);
  const whole = new Uint8Array(chunk.byteLength + body.byteLength);
  const opened = await registry.send("POST", "/v2/a/blobs/uploads/");
  const patched = await registry.send("PATCH", opened.header("Location"), { body: chunk });
  const path = `${patched.header("Location")}?digest=${digestOf(whole)}`;
  for (let times = 0; times < 10; times++)
    assert.equal((await registry.send("PUT", path, { body })).status, 201, `time ${times}`);
});
