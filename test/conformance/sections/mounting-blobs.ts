import assert from "node:assert/strict";
import { admin } from "../../support/closed-registry.ts";
import { content, digestOf, unknownDigest } from "../../support/content.ts";
import { closeSession } from "../../support/upload-ways.ts";
import type { Section } from "../statement.ts";
import { algorithms } from "../world.ts";

export const mountingBlobs: Section = {
  document: "distribution-spec",
  title: "Mounting a blob from another repository",
  statements: [
    {
      id: "mount-201",
      quote:
        "The response to a successful mount MUST be `201 Created`, and MUST contain the following header: … The Location header will contain the registry URL to access the accepted layer file.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          const bytes = content();
          const digest = await registry.pushBlob("mount/source", bytes, digestOf(bytes, algorithm));
          const path = `/v2/mount/target/blobs/uploads/?mount=${digest}&from=mount/source`;
          const mounted = await registry.must(201, "POST", path);
          assert.deepEqual((await registry.must(200, "GET", mounted.header("Location"))).bytes, bytes);
        }
      },
    },
    {
      id: "mount-digest",
      quote:
        "The Docker-Content-Digest header returns the digest of the uploaded blob which MAY differ from the provided digest.",
      choice: "It is the digest that was asked for.",
      check: async ({ registry }) => {
        const digest = await registry.pushBlob("mount/source", content());
        const path = `/v2/mount/target/blobs/uploads/?mount=${digest}&from=mount/source`;
        assert.equal((await registry.must(201, "POST", path)).header("Docker-Content-Digest"), digest);
      },
    },
    {
      id: "mount-without-from",
      quote:
        "The registry MAY treat the `from` parameter as optional, and it MAY cross-mount the blob if it can be found.",
      choice:
        "It does, from a repository that the caller has a grant to pull; what others have is not found, be it public.",
      check: async ({ registry, closed }) => {
        for (const algorithm of algorithms) {
          const bytes = content();
          const digest = await registry.pushBlob("mount/source", bytes, digestOf(bytes, algorithm));
          await registry.must(201, "POST", `/v2/mount/anonymous/blobs/uploads/?mount=${digest}`);
          assert.deepEqual(
            (await registry.must(200, "GET", `/v2/mount/anonymous/blobs/${digest}`)).bytes,
            bytes,
          );
        }
        const as = await closed.account("mounter", [{ repository: "mounters/*", verbs: ["pull", "push"] }]);
        const hidden = await closed.as(admin).pushBlob("hidden/app");
        const own = await closed.as(as).pushBlob("mounters/one");
        const path = "/v2/mounters/two/blobs/uploads/?mount=";
        await closed.must(202, "POST", path + hidden, { as });
        await closed.must(201, "POST", path + own, { as });
      },
    },
    {
      id: "mount-202",
      quote:
        "Alternatively, if a registry does not support cross-repository mounting or is unable to mount the requested blob, it SHOULD return a `202`. This indicates that the upload session has begun and that the client MAY proceed with the upload.",
      choice: "202 for whatever reason, so that nobody learns what others have.",
      check: async ({ registry }) => {
        for (const algorithm of algorithms) {
          await registry.openUpload("mount/target", `?mount=${unknownDigest(algorithm)}&from=mount/source`);
          const bytes = content();
          const digest = digestOf(bytes, algorithm);
          const location = await registry.openUpload("mount/target", `?mount=${digest}&from=mount/nowhere`);
          await closeSession(registry, location, digest, bytes);
          await registry.must(200, "HEAD", `/v2/mount/target/blobs/${digest}`);
        }
      },
    },
  ],
  ofClients: [
    "Most clients MAY ignore the value but if it is used, the client SHOULD verify the value against the uploaded blob data.",
  ],
};
