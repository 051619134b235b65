/** What an answer must be, and whether it is. */

import assert from "node:assert/strict";
import { type ErrorName, errorCatalogue } from "../../src/oci/errors.ts";
import { type Answer, checkAnswer } from "../support/answer.ts";
import { rangeParts } from "../support/content.ts";

/** What an answer must be. A header that is `undefined` must not be there. */
export type Prediction = {
  status: number;
  /** The error in the catalogue. */
  error?: ErrorName;
  headers?: Record<string, string | RegExp | undefined>;
  /** The body of a GET, which a HEAD leaves out: bytes, or a value as JSON. */
  body?: Uint8Array | object;
  /** In the place of a body: what the parts of a `multipart/byteranges` hold. */
  parts?: Uint8Array[];
};

/** The refusal with this error. */
export function refuse(error: ErrorName, headers: Prediction["headers"] = {}): Prediction {
  return { status: errorCatalogue[error].status, error, headers };
}

/** The refusal of a method where these are supported. */
export function refuseMethod(methods: string[]): Prediction {
  const others = methods.filter((method) => method !== "GET");
  const allowed = methods.includes("GET") ? ["GET", "HEAD", ...others] : others;
  return refuse("METHOD_UNSUPPORTED", { Allow: allowed.join(", ") });
}

/** Checks an answer against what was predicted, and against what all answers have in common. */
export function assertPredicted(method: string, target: string, answer: Answer, prediction: Prediction) {
  const what = `${method} ${target.slice(0, 500)}: ${answer.status} ${answer.text.slice(0, 300)}`;
  const { status, error, headers = {}, body, parts } = prediction;
  assert.equal(answer.status, status, what);
  checkAnswer(method, target, answer);
  for (const [name, expected] of Object.entries(headers)) {
    const value = answer.headers.get(name);
    if (expected instanceof RegExp) assert.match(value ?? "", expected, `${what}: ${name}`);
    else assert.equal(value, expected ?? null, `${what}: ${name}`);
  }
  if (method === "HEAD") {
    assert.equal(answer.bytes.byteLength, 0, what);
    if (body instanceof Uint8Array && status === 200) {
      assert.equal(answer.header("Content-Length"), String(body.byteLength), what);
    }
    return;
  }
  if (error !== undefined) assert.equal(codeOf(target, answer), codeFor(target, error), what);
  if (parts !== undefined) {
    assert.deepEqual(
      rangeParts(answer.headers, answer.bytes).map((part) => part.bytes),
      parts,
      what,
    );
  }
  if (body instanceof Uint8Array) assert.deepEqual(Buffer.from(answer.bytes), Buffer.from(body), what);
  else if (body !== undefined) assert.deepEqual(answer.json(), body, what);
}

function codeFor(target: string, error: ErrorName): string {
  return target.startsWith("/api/") ? error : errorCatalogue[error].code;
}

function codeOf(target: string, answer: Answer): string | undefined {
  if (target.startsWith("/api/")) return answer.json<{ code: string }>().code;
  return answer.json<{ errors: { code: string }[] }>().errors[0]?.code;
}
