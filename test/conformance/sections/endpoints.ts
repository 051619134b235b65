import assert from "node:assert/strict";
import { imageIndexType } from "../../../src/oci/media-type.ts";
import { content, digestOf, unknownDigest } from "../../support/content.ts";
import type { TestRegistry } from "../../support/registry.ts";
import type { Section, Statement } from "../statement.ts";
import { makeIndex } from "../world.ts";

/** What an endpoint answers, by its row of the table. */
type Row = {
  row: string;
  succeeds: number;
  success: Attempt;
  failures: [status: number, attempt: Attempt][];
};
type Attempt = (registry: TestRegistry) => Promise<{ status: number }>;

const at = "/v2/endpoints";
const get =
  (path: string): Attempt =>
  (registry) =>
    registry.get(at + path);
const send =
  (method: string, path: string, body: Uint8Array | string = ""): Attempt =>
  (registry) =>
    registry.send(method, at + path, { body });
const nowhere =
  (method: string, path: string): Attempt =>
  (registry) =>
    registry.send(method, `/v2/nowhere${path}`);
const session = "/blobs/uploads/00000000-0000-0000-0000-000000000000";

/** Does something at the location of a session that has received ten bytes. */
const inSession =
  (use: (registry: TestRegistry, location: string) => Promise<{ status: number }>): Attempt =>
  async (registry) =>
    use(registry, await registry.patch(await registry.openUpload("endpoints"), content(10)));

const blob = content();
const manifest = makeIndex();
const tooLarge = new Uint8Array(4 * 1024 * 1024 + 1);
const misplaced = { "Content-Range": "20-29" };

const put =
  (reference: string): Attempt =>
  (registry) =>
    registry.putManifest("endpoints", reference, manifest, imageIndexType);

const rows: Record<string, Row> = {
  "end-1": {
    row: "`GET` | `/v2/`",
    succeeds: 200,
    success: (registry) => registry.get("/v2/"),
    failures: [],
  },
  "end-2": {
    row: "`GET` / `HEAD` | `/v2/<name>/blobs/<digest>`",
    succeeds: 200,
    success: async (registry) => registry.get(`${at}/blobs/${await registry.pushBlob("endpoints", blob)}`),
    failures: [[404, get(`/blobs/${unknownDigest()}`)]],
  },
  "end-3": {
    row: "`GET` / `HEAD` | `/v2/<name>/manifests/<tag-or-digest>`",
    succeeds: 200,
    success: async (registry) => {
      await put("latest")(registry);
      return registry.get(`${at}/manifests/latest`);
    },
    failures: [[404, get(`/manifests/${unknownDigest()}`)]],
  },
  "end-4a": {
    row: "`POST` | `/v2/<name>/blobs/uploads/`",
    succeeds: 202,
    success: send("POST", "/blobs/uploads/"),
    failures: [],
  },
  "end-4b": {
    row: "`POST` | `/v2/<name>/blobs/uploads/?digest=<digest>`",
    succeeds: 201,
    success: send("POST", `/blobs/uploads/?digest=${digestOf(blob)}`, blob),
    failures: [[400, send("POST", `/blobs/uploads/?digest=${unknownDigest()}`, blob)]],
  },
  "end-4c": {
    row: "`POST` | `/v2/<name>/blobs/uploads/?digest-algorithm=<algorithm>`",
    succeeds: 202,
    success: send("POST", "/blobs/uploads/?digest-algorithm=sha512"),
    failures: [[400, send("POST", "/blobs/uploads/?digest-algorithm=md5")]],
  },
  "end-5": {
    row: "`PATCH` | `<blob-push-location>`",
    succeeds: 202,
    success: inSession((registry, location) => registry.send("PATCH", location, { body: blob })),
    failures: [
      [404, send("PATCH", session, blob)],
      [
        416,
        inSession((registry, location) =>
          registry.send("PATCH", location, { body: content(10), headers: misplaced }),
        ),
      ],
    ],
  },
  "end-6": {
    row: "`PUT` | `<blob-push-location>?digest=<digest>`",
    succeeds: 201,
    success: async (registry) => {
      const location = await registry.openUpload("endpoints");
      return registry.send("PUT", `${location}?digest=${digestOf(blob)}`, { body: blob });
    },
    failures: [
      [404, send("PUT", `${session}?digest=${digestOf(blob)}`, blob)],
      [400, inSession((registry, location) => registry.send("PUT", `${location}?digest=${unknownDigest()}`))],
      [
        416,
        inSession((registry, location) =>
          registry.send("PUT", `${location}?digest=${digestOf(blob)}`, {
            body: content(10),
            headers: misplaced,
          }),
        ),
      ],
    ],
  },
  "end-7a": {
    row: "`PUT` | `/v2/<name>/manifests/<tag-or-digest>`",
    succeeds: 201,
    success: put("latest"),
    failures: [[413, send("PUT", "/manifests/latest", tooLarge)]],
  },
  "end-7b": {
    row: "`PUT` | `/v2/<name>/manifests/<digest>?tag=1&tag=2&tag=3`",
    succeeds: 201,
    success: put(`${digestOf(manifest)}?tag=1&tag=2&tag=3`),
    failures: [[413, send("PUT", `/manifests/${digestOf(tooLarge)}?tag=1`, tooLarge)]],
  },
  "end-8a": {
    row: "`GET` | `/v2/<name>/tags/list`",
    succeeds: 200,
    success: get("/tags/list"),
    failures: [[404, nowhere("GET", "/tags/list")]],
  },
  "end-8b": {
    row: "`GET` | `/v2/<name>/tags/list?n=<integer>&last=<tagname>`",
    succeeds: 200,
    success: get("/tags/list?n=1&last=1"),
    failures: [[404, nowhere("GET", "/tags/list?n=1&last=1")]],
  },
  "end-9": {
    row: "`DELETE` | `/v2/<name>/manifests/<tag-or-digest>`",
    succeeds: 202,
    success: send("DELETE", `/manifests/${digestOf(manifest)}`),
    failures: [
      [404, send("DELETE", `/manifests/${unknownDigest()}`)],
      [400, send("DELETE", "/manifests/.x")],
    ],
  },
  "end-10": {
    row: "`DELETE` | `/v2/<name>/blobs/<digest>`",
    succeeds: 202,
    success: async (registry) =>
      registry.send("DELETE", `${at}/blobs/${await registry.pushBlob("endpoints", content())}`),
    failures: [
      [404, send("DELETE", `/blobs/${unknownDigest()}`)],
      [400, send("DELETE", "/blobs/sha256:x")],
    ],
  },
  "end-11": {
    row: "`POST` | `/v2/<name>/blobs/uploads/?mount=<digest>&from=<other_name>`",
    succeeds: 201,
    success: async (registry) => {
      const digest = await registry.pushBlob("endpoints", content());
      return registry.send("POST", `/v2/endpoints/mounted/blobs/uploads/?mount=${digest}&from=endpoints`);
    },
    failures: [[202, send("POST", `/blobs/uploads/?mount=${unknownDigest()}&from=nowhere`)]],
  },
  "end-12a": {
    row: "`GET` | `/v2/<name>/referrers/<digest>`",
    succeeds: 200,
    success: get(`/referrers/${unknownDigest()}`),
    failures: [[400, get("/referrers/sha256:x")]],
  },
  "end-12b": {
    row: "`GET` | `/v2/<name>/referrers/<digest>?artifactType=<artifactType>`",
    succeeds: 200,
    success: get(`/referrers/${unknownDigest()}?artifactType=a/b`),
    failures: [[400, get("/referrers/sha256:x?artifactType=a/b")]],
  },
  "end-13": {
    row: "`GET` | `<blob-push-location>`",
    succeeds: 204,
    success: inSession((registry, location) => registry.get(location)),
    failures: [[404, get(session)]],
  },
  "end-14": {
    row: "`DELETE` | `<blob-push-location>`",
    succeeds: 204,
    success: inSession((registry, location) => registry.send("DELETE", location)),
    failures: [[404, send("DELETE", session)]],
  },
};

function toStatement([id, { row, succeeds, success, failures }]: [string, Row]): Statement {
  const statuses = [succeeds, ...failures.map(([status]) => status)];
  return {
    id,
    quote: `${id} | ${row}`,
    choice: `${statuses.join(", ")}, each as the table has it.`,
    check: async ({ registry }) => {
      assert.equal((await success(registry)).status, succeeds);
      for (const [status, attempt] of failures) assert.equal((await attempt(registry)).status, status);
    },
  };
}

export const endpoints: Section = {
  document: "distribution-spec",
  title: "Endpoints",
  statements: Object.entries(rows).map(toStatement),
};
