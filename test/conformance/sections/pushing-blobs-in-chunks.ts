import assert from "node:assert/strict";
import { expectError } from "../../support/answer.ts";
import { content, digestOf, streamOf } from "../../support/content.ts";
import type { TestRegistry } from "../../support/registry.ts";
import { chunkRange, closeSession, uploadWays } from "../../support/upload-ways.ts";
import type { Section } from "../statement.ts";
import { algorithms } from "../world.ts";

/** A session that has received these bytes. */
async function startedUpload(registry: TestRegistry, bytes: Uint8Array, query = ""): Promise<string> {
  const location = await registry.openUpload("chunks", query);
  return registry.patch(location, bytes, chunkRange(0, bytes.byteLength));
}

/** Both ways to send a chunk are refused with 416, and say where the upload stands. */
async function refusesChunk(registry: TestRegistry, method: "PATCH" | "PUT"): Promise<void> {
  const [first, second] = [content(10), content(10)];
  const whole = new Uint8Array([...first, ...second]);
  const location = await startedUpload(registry, first);
  const target = method === "PUT" ? `${location}?digest=${digestOf(whole)}` : location;
  for (const range of ["0-9", "9-18", "11-20"]) {
    const headers = { "Content-Range": range };
    const refused = await registry.must(416, method, target, { headers, body: second });
    assert.equal(refused.header("Range"), "0-9");
  }
  await closeSession(registry, location, digestOf(whole), second, chunkRange(10, 20));
}

export const pushingBlobsInChunks: Section = {
  document: "distribution-spec",
  title: "Pushing a blob in chunks",
  statements: [
    {
      id: "chunked-post-length",
      quote: "except that the post request MUST include the following header: … Content-Length: 0",
      choice: "A POST without that header opens a session too.",
      check: async ({ registry }) => {
        await registry.must(202, "POST", "/v2/chunks/blobs/uploads/", { headers: { "Content-Length": "0" } });
        await registry.must(202, "POST", "/v2/chunks/blobs/uploads/", { body: streamOf() });
      },
    },
    {
      id: "digest-algorithm",
      quote:
        "When pushing a blob with a digest algorithm other than `sha256`, the post request SHOULD include the `digest-algorithm` parameter",
      choice:
        "The hash then runs along. A blob that was not announced so, or was announced otherwise, is read once more.",
      check: async ({ registry }) => {
        for (const query of ["?digest-algorithm=sha512", "?digest-algorithm=sha256", ""]) {
          for (const algorithm of algorithms) {
            const bytes = content();
            const location = await startedUpload(registry, bytes, query);
            const blob = await closeSession(registry, location, digestOf(bytes, algorithm));
            assert.deepEqual((await registry.must(200, "GET", blob)).bytes, bytes);
          }
        }
      },
    },
    {
      id: "chunk-min-length",
      quote:
        "If the registry has a minimum chunk size, the `POST` response SHOULD include the following header",
      choice: "There is no minimum and no `OCI-Chunk-Min-Length`: chunks of one byte are taken.",
      check: async ({ registry }) => {
        const opened = await registry.must(202, "POST", "/v2/chunks/blobs/uploads/");
        assert.equal(opened.headers.get("OCI-Chunk-Min-Length"), null);
        const bytes = content(4);
        let location = opened.header("Location");
        for (const [at, byte] of bytes.entries()) {
          location = await registry.patch(location, new Uint8Array([byte]), chunkRange(at, at + 1));
        }
        await closeSession(registry, location, digestOf(bytes));
      },
    },
    {
      id: "chunk-range-inclusive",
      quote:
        "The `<range>` refers to the byte range of the chunk, and MUST be inclusive on both ends. The first chunk's range MUST begin with `0`. It MUST match the following regular expression",
      choice:
        "Other forms are 400, but for `bytes <first>-<last>/<size or *>`, which some clients send. A range that is not as long as the body is 400. Without a range, a chunk goes where the upload stands.",
      check: async ({ registry }) => {
        const body = content(10);
        const location = await registry.openUpload("chunks");
        const send = (range: string) =>
          registry.send("PATCH", location, { body, headers: { "Content-Range": range } });
        for (const range of ["all", "0-", "-9", "0-4,5-9", "9-0"]) {
          expectError(await send(range), 400, "BLOB_UPLOAD_INVALID");
        }
        for (const range of ["0-10", "0-8"]) expectError(await send(range), 400, "SIZE_INVALID");
        expectError(await send("10-19"), 416, "BLOB_UPLOAD_INVALID");
        assert.equal((await send("0-9")).status, 202);
      },
    },
    {
      id: "chunk-lengths",
      quote:
        "the size of each chunk, except for the final chunk, SHOULD be greater or equal to that value. The final chunk MAY have any length.",
      choice: "Chunks have any length, none included.",
      check: async ({ registry }) => {
        const chunks = [content(3), new Uint8Array(), content(70_000), content(1)];
        let location = await registry.openUpload("chunks");
        for (const chunk of chunks) location = await registry.patch(location, chunk);
        await closeSession(registry, location, digestOf(new Uint8Array(Buffer.concat(chunks))));
      },
    },
    {
      id: "chunk-202",
      quote:
        "The response for each successful chunk upload MUST be `202 Accepted`, and MUST have the following headers: … Location: <blob-push-location> Range: 0-<end-of-range>",
      check: async ({ registry }) => {
        let location = await registry.openUpload("chunks");
        for (const at of [0, 10, 20]) {
          const headers = chunkRange(at, at + 10);
          const patched = await registry.must(202, "PATCH", location, { body: content(10), headers });
          assert.equal(patched.header("Range"), `0-${at + 9}`);
          location = patched.header("Location");
        }
      },
    },
    {
      id: "chunk-next-location",
      quote:
        "Each consecutive chunk upload SHOULD use the `<blob-push-location>` provided in the response to the previous chunk upload.",
      choice: "Every location of a session is good as long as the session.",
      check: async ({ registry }) => {
        const push = uploadWays(registry)["all chunks at the first location"];
        assert(push !== undefined);
        const bytes = content();
        await push("chunks", bytes, digestOf(bytes));
      },
    },
    {
      id: "chunk-out-of-order",
      quote:
        "Chunks MUST be uploaded in order, with the first byte of a chunk being the last chunk's `<end-of-range>` plus one. If a chunk is uploaded out of order, the registry MUST respond with a `416 Requested Range Not Satisfiable` code.",
      choice: "With `Location` and `Range`, so that the client can go on.",
      check: ({ registry }) => refusesChunk(registry, "PATCH"),
    },
    {
      id: "final-chunk",
      quote:
        "The final chunk MAY be uploaded using a `PATCH` request or it MAY be uploaded in the closing `PUT` request. Regardless of how the final chunk is uploaded, the session MUST be closed with a `PUT` request.",
      choice: "Either. Until the PUT there is no blob.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          for (const way of ["two chunks, then an empty PUT", "a chunk, then a PUT with the last one"]) {
            const push = uploadWays(registry)[way];
            assert(push !== undefined, way);
            const bytes = content();
            await push("chunks", bytes, digestOf(bytes, algorithm));
          }
        }
        const unclosed = content();
        await startedUpload(registry, unclosed);
        await registry.must(404, "HEAD", `/v2/chunks/blobs/${digestOf(unclosed)}`);
      },
    },
    {
      id: "closing-digest",
      quote:
        "The closing `PUT` request MUST include the `<digest>` of the whole blob (not the final chunk) as a query parameter.",
      check: async ({ registry }) => {
        const [first, last] = [content(), content()];
        const location = await startedUpload(registry, first);
        expectError(await registry.send("PUT", location, { body: last }), 400, "DIGEST_INVALID");
        const ofChunk = await registry.send("PUT", `${location}?digest=${digestOf(last)}`, { body: last });
        expectError(ofChunk, 400, "DIGEST_INVALID");
        await registry.must(404, "HEAD", `/v2/chunks/blobs/${digestOf(last)}`);
      },
    },
    {
      id: "closing-201",
      quote:
        "The response to a successful closing of the session MUST be `201 Created`, and MUST contain the following header: … Here, `<blob-location>` is a pullable blob URL.",
      choice: "In every way that clients push, also under a digest that was not announced.",
      check: async ({ registry }) => {
        for (const push of Object.values(uploadWays(registry))) {
          const bytes = content();
          const location = await push("chunks", bytes, digestOf(bytes, "sha512"));
          assert.deepEqual((await registry.must(200, "GET", location)).bytes, bytes);
        }
      },
    },
    {
      id: "final-chunk-out-of-order",
      quote:
        "If the final chunk is uploaded out of order, the registry MUST respond with a `416 Requested Range Not Satisfiable` code.",
      check: ({ registry }) => refusesChunk(registry, "PUT"),
    },
    {
      id: "upload-status",
      quote:
        "The response to an active upload `<blob-push-location>` MUST be a `204 No Content` response code, and MUST have the following headers: … Location: <blob-push-location> Range: 0-<end-of-range>",
      choice: "An upload that has received nothing says `0-0`: the form has no word for nothing.",
      check: async ({ registry }) => {
        const opened = await registry.openUpload("chunks");
        assert.equal((await registry.must(204, "GET", opened)).header("Range"), "0-0");
        const location = await registry.patch(opened, content(10));
        for (const each of [opened, location]) {
          const status = await registry.must(204, "GET", each);
          assert.equal(status.header("Range"), "0-9");
          await registry.must(204, "GET", status.header("Location"));
        }
      },
    },
    {
      id: "upload-status-location",
      quote: "The following chunk upload SHOULD use the `<blob-push-location>` provided in the response.",
      choice: "It goes on there.",
      check: async ({ registry }) => {
        const [first, last] = [content(10), content(10)];
        const status = await registry.must(204, "GET", await startedUpload(registry, first));
        const location = await registry.patch(status.header("Location"), last, chunkRange(10, 20));
        await closeSession(registry, location, digestOf(new Uint8Array([...first, ...last])));
      },
    },
  ],
};
