/** What the management API has in common. docs/api.md is its contract. */
import { type Failure, failure, type Result } from "../../../oci/errors.ts";
import { parseContentLength } from "../../../oci/http.ts";
import { parseRepositoryName, type RepositoryName } from "../../../oci/name.ts";
import { readBody } from "../../body.ts";
import type { Context } from "../../context.ts";

const maxJsonBytes = 256 * 1024;

/** A JSON object, unchecked otherwise. */
export type JsonObject = Record<string, unknown>;

/**
 * Reads a body that must be a JSON object with no other fields than these. `isOptional`: no body is one without fields.
 * Error: `REQUEST_INVALID`.
 */
export async function readJson(
  { request }: Context,
  fields: string[],
  isOptional = false,
): Promise<Result<{ json: JsonObject }>> {
  const length = parseContentLength(request.headers.get("Content-Length"));
  const body = await readBody(request.body, length, maxJsonBytes);
  if (!body.ok) return failure("REQUEST_INVALID", `the body is ${body.reason}`);
  if (isOptional && body.bytes.byteLength === 0) return { ok: true, json: {} };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body.bytes));
  } catch {
    return failure("REQUEST_INVALID", "the body is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return failure("REQUEST_INVALID", "the body is not a JSON object");
  }
  const unknown = Object.keys(json).filter((field) => !fields.includes(field));
  if (unknown.length > 0) {
    return failure("REQUEST_INVALID", `unknown field ${unknown[0]}; there are ${fields.join(", ")}`);
  }
  return { ok: true, json: json as JsonObject };
}

/** A field that has the wrong value. */
export function invalidField(field: string, expected: string): Failure {
  return failure("REQUEST_INVALID", `${field} must be ${expected}`);
}

/**
 * Reads the body of a request that goes on from a cursor, or begins; it may have more `fields`. Error: `REQUEST_INVALID`.
 */
export async function readCursor(
  context: Context,
  fields: string[] = [],
): Promise<Result<{ cursor: string | undefined; json: JsonObject }>> {
  const body = await readJson(context, ["cursor", ...fields], true);
  if (!body.ok) return body;
  const { cursor } = body.json;
  if (cursor !== undefined && typeof cursor !== "string") return invalidField("cursor", "a text");
  return { ok: true, cursor, json: body.json };
}

/** The repository that a path or a field names. Error: `NAME_INVALID`. */
export function parseRepository(name: unknown): Result<{ repository: RepositoryName }> {
  const repository = typeof name === "string" ? parseRepositoryName(name) : undefined;
  // What is no text is not said again: it may be anything.
  const said = typeof name === "string" ? { name } : undefined;
  return repository === undefined ? failure("NAME_INVALID", said) : { ok: true, repository };
}
