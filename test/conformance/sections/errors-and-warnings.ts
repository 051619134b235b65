import assert from "node:assert/strict";
import { errorCatalogue } from "../../../src/oci/errors.ts";
import { imageManifestType } from "../../../src/oci/media-type.ts";
import { type Answer, type ErrorEntry, expectError } from "../../support/answer.ts";
import { admin } from "../../support/closed-registry.ts";
import { configType, content, describe, imageManifest, unknownDigest } from "../../support/content.ts";
import { until } from "../../support/registry.ts";
import type { Section } from "../statement.ts";
import { library, type World } from "../world.ts";

const unknown = unknownDigest();
const body = content();

/** How a client comes to see each code. */
const provocations: Record<string, (world: World) => Promise<Answer>> = {
  BLOB_UNKNOWN: ({ registry }) => registry.get(`/v2/${library}/blobs/${unknown}`),
  BLOB_UPLOAD_INVALID: async ({ registry }) =>
    registry.send("PATCH", await registry.openUpload("errors"), {
      body,
      headers: { "Content-Range": "all" },
    }),
  BLOB_UPLOAD_UNKNOWN: ({ registry }) => registry.get(`/v2/${library}/blobs/uploads/${crypto.randomUUID()}`),
  DIGEST_INVALID: ({ registry }) =>
    registry.send("POST", `/v2/errors/blobs/uploads/?digest=${unknown}`, { body }),
  MANIFEST_BLOB_UNKNOWN: ({ registry }) =>
    registry.putManifest("errors", "latest", imageManifest(describe(body, configType), [])),
  MANIFEST_INVALID: ({ registry }) => registry.putManifest("errors", "latest", body),
  MANIFEST_UNKNOWN: ({ registry }) => registry.get(`/v2/${library}/manifests/unknown`),
  NAME_INVALID: ({ registry }) => registry.get("/v2/UPPER/tags/list"),
  NAME_UNKNOWN: ({ registry }) => registry.get("/v2/nowhere/tags/list"),
  SIZE_INVALID: async ({ registry }) =>
    registry.send("PATCH", await registry.openUpload("errors"), {
      body,
      headers: { "Content-Range": "0-1" },
    }),
  UNAUTHORIZED: ({ closed }) => closed.send("GET", "/v2/secret/app/tags/list"),
  DENIED: async ({ closed }) => {
    const as = await closed.account(`reader-${crypto.randomUUID()}`, [
      { repository: "read/**", verbs: ["pull"] },
    ]);
    return closed.send("POST", "/v2/read/app/blobs/uploads/", { as });
  },
  UNSUPPORTED: ({ registry }) => registry.send("DELETE", `/v2/${library}/tags/list`),
  TOOMANYREQUESTS: (world) => askInVain(world),
};

/** Asks, as nobody in particular, for what is not there until that is too much. */
async function askInVain({ closed }: World): Promise<Answer> {
  await closed.as(admin).pushImage("vain/app", "latest");
  await closed.setVisibility("vain/app", "public");
  // An address of its own, so that nobody else is held up.
  const headers = { "CF-Connecting-IP": "192.0.2.9" };
  const ask = () => closed.send("GET", `/v2/vain/app/manifests/${unknownDigest()}`, { headers });
  let answer = await ask();
  await until("too many requests", async () => {
    answer = await ask();
    return answer.status !== 404;
  });
  return answer;
}

export const errorCodes: Section = {
  document: "distribution-spec",
  title: "Error Codes",
  statements: [
    {
      id: "error-format",
      quote:
        "A `4XX` response code from the registry MAY return a body in any format. If the response body is in JSON format, it MUST have the following format",
      choice: "Always this format, in JSON, but for HEAD, which has no body.",
      check: async (world) => {
        for (const provoke of Object.values(provocations)) {
          const answer = await provoke(world);
          assert(answer.status >= 400 && answer.status < 500);
          assert.equal(answer.header("Content-Type"), "application/json");
          const { errors, ...rest } = answer.json<{ errors: ErrorEntry[] }>();
          assert.deepEqual(rest, {});
          for (const { code, message, detail: _, ...more } of errors) {
            assert.deepEqual([typeof code, typeof message, more], ["string", "string", {}]);
          }
        }
      },
    },
    {
      id: "error-code-form",
      quote:
        "The `code` field MUST be a unique identifier, containing only uppercase alphabetic characters and underscores.",
      check: async () => {
        for (const { code } of Object.values(errorCatalogue)) assert.match(code, /^[A-Z_]+$/);
      },
    },
    {
      id: "error-message",
      quote:
        "The `message` field is OPTIONAL, and if present, it SHOULD be a human readable string or MAY be empty.",
      choice: "Always there: what was wrong, and where it helps, what to do.",
      check: async (world) => {
        for (const [code, provoke] of Object.entries(provocations)) {
          const [error] = (await provoke(world)).json<{ errors: ErrorEntry[] }>().errors;
          assert.match(error?.message ?? "", / /, code);
        }
      },
    },
    {
      id: "error-detail",
      quote:
        "The `detail` field is OPTIONAL and MAY contain arbitrary JSON data providing information the client can use to resolve the issue.",
      choice:
        "Where there is something to say: the digests that are missing, the offset of the upload, the name as it was read.",
      check: async ({ registry }) => {
        const missing = describe(content(), configType);
        const refused = await registry.putManifest(
          "errors",
          "latest",
          imageManifest(missing, []),
          imageManifestType,
        );
        const { detail } = expectError(refused, 404, "MANIFEST_BLOB_UNKNOWN");
        assert.deepEqual(detail, [{ digest: missing.digest }]);
      },
    },
    {
      id: "error-codes",
      quote: "The `code` field MUST be one of the following",
      choice: "Each of the table, and no other in a `4XX`.",
      check: async (world) => {
        for (const [code, provoke] of Object.entries(provocations)) {
          const [error] = (await provoke(world)).json<{ errors: ErrorEntry[] }>().errors;
          assert.equal(error?.code, code);
        }
        for (const { code, status } of Object.values(errorCatalogue)) {
          if (status < 500) assert(Object.hasOwn(provocations, code), code);
        }
      },
    },
    {
      id: "retry-after",
      quote:
        "A `429 Too Many Requests` response ([RFC 6585 (section 4)](https://www.rfc-editor.org/rfc/rfc6585#section-4)) SHOULD include a `Retry-After` header per [RFC 9110 (section 10.2.3)](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).",
      choice: "In seconds.",
      check: async (world) => {
        const answer = await askInVain(world);
        expectError(answer, 429, "TOOMANYREQUESTS");
        assert.match(answer.header("Retry-After"), /^\d+$/);
      },
    },
  ],
};

/** A pull by tag while the ledger cannot be asked. */
async function pullStale({ closed }: World): Promise<Answer> {
  await closed.as(admin).pushImage("stale/app", "latest");
  await closed.setVisibility("stale/app", "public");
  let answer: Answer | undefined;
  await until("the tag's replica", async () => {
    await closed.loseNext("LEDGERS.resolveTags");
    answer = await closed.send("GET", "/v2/stale/app/manifests/latest");
    return answer.status === 200;
  });
  assert(answer !== undefined);
  return answer;
}

export const warnings: Section = {
  document: "distribution-spec",
  title: "Warnings",
  statements: [
    {
      id: "warnings",
      quote:
        "Registry implementations MAY include informational warnings in `Warning` headers, as described in [RFC 7234 (section 5.5)](https://www.rfc-editor.org/rfc/rfc7234#section-5.5).",
      choice:
        "None, but for one: a tag that was answered from the replica, as the ledger could not be asked, may have moved.",
      check: async (world) => {
        for (const path of ["manifests/latest", "tags/list", `blobs/${world.image.config}`]) {
          const answer = await world.registry.must(200, "GET", `/v2/${library}/${path}`);
          assert.equal(answer.headers.get("Warning"), null);
        }
        assert.notEqual((await pullStale(world)).header("Warning"), "");
      },
    },
    {
      id: "warning-form",
      quote:
        "If included, `Warning` headers MUST specify a `warn-code` of `299` and a `warn-agent` of `-`, and MUST NOT specify a `warn-date` value.",
      choice:
        "**A deviation, on purpose**: agent `-` and no date, but the code is `110`, which RFC 7234 has for a stale answer. Caches and our own promise about tags rest on it.",
      check: async (world) => {
        assert.equal((await pullStale(world)).header("Warning"), '110 - "Response is Stale"');
      },
    },
    {
      id: "warning-length",
      quote: "A registry MUST NOT send more than 4096 bytes of warning data from all headers combined.",
      check: async (world) => assert((await pullStale(world)).header("Warning").length <= 4096),
    },
  ],
  ofClients: [
    "If a client receives `Warning` response headers, it SHOULD report the warnings to the user in an unobtrusive way.",
    "Clients SHOULD deduplicate warnings from multiple associated responses.",
    "In accordance with RFC 7234, clients MUST NOT take any automated action based on the presence or contents of warnings, only report them to the user.",
  ],
};

export const legacy: Section = {
  document: "distribution-spec",
  title: "Historical Context",
  statements: [
    {
      id: "legacy-headers",
      quote:
        "the client MAY encounter Docker-specific headers, such as `Docker-Distribution-API-Version`. Unless documented elsewhere in the spec, these headers are OPTIONAL and clients SHOULD NOT depend on them.",
      choice: "Every answer has that one; sessions have `Docker-Upload-UUID`.",
      check: async ({ registry }) => {
        const opened = await registry.must(202, "POST", "/v2/legacy/blobs/uploads/");
        assert.equal(opened.header("Docker-Distribution-API-Version"), "registry/2.0");
        assert(opened.header("Location").includes(opened.header("Docker-Upload-UUID")));
      },
    },
    {
      id: "legacy-codes",
      quote:
        "The client MAY encounter error codes targeting Docker schema1 manifests, such as `TAG_INVALID`, or `MANIFEST_UNVERIFIED`. These error codes are OPTIONAL and clients SHOULD NOT depend on them.",
      choice: "None of them.",
      check: async ({ registry }) => {
        expectError(await registry.get(`/v2/${library}/manifests/.x`), 400, "MANIFEST_INVALID");
      },
    },
  ],
};
