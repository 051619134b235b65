import assert from "node:assert/strict";
import test from "node:test";
import { errorCatalogue, failure } from "../../src/oci/errors.ts";

// distribution-spec: Error Codes
const specified = new Set([
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
]);

test("every answer that blames the client has a code of the specification", () => {
  for (const { code, status, message } of Object.values(errorCatalogue)) {
    assert(message.length > 0);
    if (status < 500) assert(specified.has(code), code);
  }
});

test("a failure without detail has no such field", () => {
  assert.deepEqual(failure("DENIED"), { ok: false, error: "DENIED" });
  assert.deepEqual(failure("DENIED", ""), { ok: false, error: "DENIED", detail: "" });
});
