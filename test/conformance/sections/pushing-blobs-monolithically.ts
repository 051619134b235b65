import assert from "node:assert/strict";
import { expectError } from "../../support/answer.ts";
import type { RequestOptions } from "../../support/client.ts";
import { content, digestOf, unknownDigest } from "../../support/content.ts";
import { exchange, head } from "../../support/raw.ts";
import type { Section } from "../statement.ts";
import { algorithms } from "../world.ts";

const uuid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
const type: RequestOptions = { headers: { "Content-Type": "application/octet-stream" } };

export const postThenPut: Section = {
  document: "distribution-spec",
  title: "POST then PUT",
  statements: [
    {
      id: "post-202",
      quote:
        "Upon success, the response MUST have a code of `202 Accepted`, and MUST include the following header: … Location: <blob-push-location>",
      check: async ({ registry }) => {
        const opened = await registry.must(202, "POST", "/v2/post/blobs/uploads/");
        assert.notEqual(opened.header("Location"), "");
      },
    },
    {
      id: "location-has-uuid",
      quote:
        "The `<blob-push-location>` MUST contain a UUID representing a unique session ID for the upload to follow.",
      check: async ({ registry }) => {
        const locations = [await registry.openUpload("post"), await registry.openUpload("post")];
        const [first, second] = locations.map((location) => uuid.exec(location)?.[0]);
        assert(first !== undefined && second !== undefined && first !== second);
      },
    },
    {
      id: "location-relative",
      quote:
        "Optionally, the location MAY be absolute (containing the protocol and/or hostname), or it MAY be relative (containing just the URL path).",
      choice: "Relative, so that it is right behind every proxy.",
      check: async ({ registry }) =>
        assert.match(await registry.openUpload("post"), /^\/v2\/post\/blobs\/uploads\//),
    },
    {
      id: "location-query",
      quote: "The `<blob-push-location>` MAY contain critical query parameters.",
      choice: "It has none: some clients build the query anew.",
      check: async ({ registry }) => {
        const opened = await registry.openUpload("post");
        for (const location of [opened, await registry.patch(opened, content())]) {
          assert(!location.includes("?"), location);
        }
      },
    },
    {
      id: "put-201",
      quote:
        "Upon successful completion of the request, the response MUST have code `201 Created` and MUST have the following header: … With `<blob-location>` being a pullable blob URL.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          for (const size of [0, 1000]) {
            const body = content(size);
            const digest = digestOf(body, algorithm);
            const location = await registry.openUpload("put");
            const put = await registry.must(201, "PUT", `${location}?digest=${digest}`, { ...type, body });
            assert.equal(put.header("Docker-Content-Digest"), digest);
            assert.deepEqual((await registry.must(200, "GET", put.header("Location"))).bytes, body);
          }
        }
      },
    },
  ],
  ofClients: [
    "Additionally, it SHOULD match exactly the `<blob-push-location>` obtained from the `POST` request.",
    "It SHOULD NOT be assembled manually by clients except where absolute/relative conversion is necessary.",
  ],
};

export const singlePost: Section = {
  document: "distribution-spec",
  title: "Single POST",
  statements: [
    {
      id: "single-post",
      quote: "Registries MAY support pushing blobs using a single POST request.",
      choice: "Supported, with `Content-Length` or without.",
      check: async ({ registry }) => {
        const body = content();
        const digest = await registry.pushBlob("single", body);
        assert.deepEqual((await registry.must(200, "GET", `/v2/single/blobs/${digest}`)).bytes, body);
      },
    },
    {
      id: "single-post-length",
      quote: "The `Content-Length` header MUST match the blob's actual content length.",
      choice: "Where fewer bytes come, nothing is stored.",
      check: async ({ registry }) => {
        const digest = digestOf(new TextEncoder().encode("hello"));
        const headers = { "Content-Length": "6" };
        const request = `${head("POST", `/v2/single/blobs/uploads/?digest=${digest}`, headers)}hello`;
        const answer = await exchange(registry.url, request, "half-close");
        assert.notEqual(answer?.status, 201);
        await registry.must(404, "HEAD", `/v2/single/blobs/${digest}`);
      },
    },
    {
      id: "single-post-digest",
      quote: "Likewise, the `<digest>` MUST match the blob's digest.",
      check: async ({ registry }) => {
        for (const digest of algorithms.map(unknownDigest)) {
          const path = `/v2/single/blobs/uploads/?digest=${digest}`;
          expectError(await registry.send("POST", path, { body: content() }), 400, "DIGEST_INVALID");
          await registry.must(404, "HEAD", `/v2/single/blobs/${digest}`);
        }
      },
    },
    {
      id: "single-post-unsupported",
      quote:
        "Registries that do not support single request monolithic uploads SHOULD return a `202 Accepted` status code and `Location` header",
      choice:
        "They are supported: a POST with a digest and without a body pushes the blob of no bytes, or fails.",
      check: async ({ registry }) => {
        const nothing = digestOf(new Uint8Array());
        await registry.must(201, "POST", `/v2/single/blobs/uploads/?digest=${nothing}`);
        const other = await registry.send("POST", `/v2/single/blobs/uploads/?digest=${unknownDigest()}`);
        assert.equal(other.status, 400);
      },
    },
    {
      id: "single-post-201",
      quote:
        "Successful completion of the request MUST return a `201 Created` and MUST include the following header: … Here, `<blob-location>` is a pullable blob URL.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const body = content();
          const path = `/v2/single/blobs/uploads/?digest=${digestOf(body, algorithm)}`;
          const posted = await registry.must(201, "POST", path, { ...type, body });
          assert.deepEqual((await registry.must(200, "GET", posted.header("Location"))).bytes, body);
        }
      },
    },
  ],
  ofClients: [
    "and clients SHOULD proceed with a subsequent PUT request, as described by the [POST then PUT upload method](#post-then-put).",
  ],
};
