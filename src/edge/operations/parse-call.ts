/** Reads a call of the management API: the parameters of its path, its query, its page and its body. */
import * as v from "valibot";
import type { Operation, Paging } from "../../contract/operation.ts";
import { type ParameterName, parameters } from "../../contract/parameters.ts";
import type { Refused } from "../../contract/schemas.ts";
import { type Failure, failure, type Result } from "../../oci/errors.ts";
import { parsePage } from "../../oci/http.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import { readForm, unreadForm } from "../body.ts";
import type { Context } from "../context.ts";

const maxJsonBytes = 256 * 1024;

/** A page of a list. If `last` is a number and not given, it is the largest number. */
type Page = { limit: number; last: string | number };

/** The parameters and body of a call, as its operation declares them. */
export type ParsedCall = {
  params: Record<string, string>;
  /** The parameter `name`, which only paths of one repository have. */
  repository: RepositoryName;
  query: Record<string, unknown>;
  page: Page | undefined;
  body: unknown;
};

/** Parses and validates a call. Errors: `REQUEST_INVALID`, `PAGE_INVALID`, and those of the parameters. */
export async function parseCall(
  context: Context,
  operation: Operation,
): Promise<Result<{ call: ParsedCall }>> {
  const params = parseParameters(context.params);
  if (!params.ok) return params;
  const query = parseQuery(context.url.searchParams, operation.query ?? {});
  if (!query.ok) return query;
  const page = operation.page === undefined ? undefined : parsePaging(context.url, operation.page);
  if (page?.ok === false) return page;
  const body = await parseBody(context, operation);
  if (!body.ok) return body;
  const call = {
    params: params.values,
    repository: params.values.name as RepositoryName,
    query: query.values,
    page: page?.page,
    body: body.value,
  };
  return { ok: true, call };
}

function parseParameters(given: Record<string, string>): Result<{ values: Record<string, string> }> {
  const values: Record<string, string> = {};
  for (const [name, text] of Object.entries(given)) {
    const parsed = parseValue(name, text, parameters[name as ParameterName].schema);
    if (!parsed.ok) return parsed;
    values[name] = parsed.value as string;
  }
  return { ok: true, values };
}

function parseQuery(
  given: URLSearchParams,
  schemas: Record<string, v.GenericSchema>,
): Result<{ values: Record<string, unknown> }> {
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const parsed = parseValue(name, given.get(name) ?? undefined, schema);
    if (!parsed.ok) return parsed;
    values[name] = parsed.value;
  }
  return { ok: true, values };
}

function parsePaging({ searchParams }: URL, { most, last }: Paging): Result<{ page: Page }> {
  const asked = parsePage(searchParams);
  if (asked === undefined) return failure("PAGE_INVALID");
  const limit = Math.min(asked.limit, most);
  if (last !== "integer") return { ok: true, page: { limit, last: asked.last } };
  const before = asked.last === "" ? Number.MAX_SAFE_INTEGER : Number(asked.last);
  return Number.isSafeInteger(before) ? { ok: true, page: { limit, last: before } } : failure("PAGE_INVALID");
}

/** Reads the body that an operation takes, if it takes one: a JSON object. */
async function parseBody(context: Context, operation: Operation): Promise<Result<{ value: unknown }>> {
  if (!("body" in operation) || operation.body === undefined) return { ok: true, value: undefined };
  const read = await readForm(context, maxJsonBytes);
  if (!read.ok) return unreadForm(read.reason);
  const json = operation.isBodyOptional && read.bytes.byteLength === 0 ? {} : parseJson(read.bytes);
  if (json === undefined) return failure("REQUEST_INVALID", "the body is not JSON");
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return failure("REQUEST_INVALID", "the body is not a JSON object");
  }
  const parsed = v.safeParse(operation.body, json);
  if (parsed.success) return { ok: true, value: parsed.output };
  return refuseAt(operation.body, parsed.issues.find(isUnknownField) ?? parsed.issues[0]);
}

/** Whether an issue is that an object has a field that its schema does not have. */
function isUnknownField({ type, expected }: v.BaseIssue<unknown>): boolean {
  return type === "strict_object" && expected === "never";
}

/** Refuses a body for an issue: names the field, down to where a schema says what must be there. */
function refuseAt(body: v.GenericSchema, issue: v.BaseIssue<unknown>): Failure {
  let schema: v.GenericSchema | undefined = body;
  let place = "";
  let refused: { field: string; value: unknown; schema?: v.GenericSchema } | undefined;
  for (const item of issue.path ?? []) {
    const parent: v.GenericSchema | undefined = schema && unwrapped(schema);
    const isLast = item === issue.path?.at(-1);
    place += typeof item.key === "number" ? `[${item.key}]` : `${place === "" ? "" : "."}${item.key}`;
    if (parent !== undefined && isLast && isUnknownField(issue)) {
      // An array has no fields.
      if (Array.isArray(item.input)) break;
      return failure("REQUEST_INVALID", `unknown field ${place}; there are ${fieldsOf(parent).join(", ")}`);
    }
    schema = parent && partOf(parent, item.key);
    if (schema !== undefined && refusedOf(schema) !== undefined)
      refused = { field: place, value: item.value, schema };
  }
  return refused === undefined
    ? invalidField(place, "as documented")
    : refuse(refused.field, refused.value, refused.schema);
}

function fieldsOf(schema: v.GenericSchema): string[] {
  return "entries" in schema ? Object.keys(schema.entries as object) : [];
}

/** The schema of a field of an object, or of the elements of an array. */
function partOf(schema: v.GenericSchema, key: unknown): v.GenericSchema | undefined {
  if ("entries" in schema) return (schema.entries as Record<string, v.GenericSchema>)[String(key)];
  return "item" in schema ? (schema.item as v.GenericSchema) : undefined;
}

/** The JSON of a body; `undefined` if it is not valid JSON. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function parseValue(name: string, value: unknown, schema: v.GenericSchema): Result<{ value: unknown }> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  return parsed.success ? { ok: true, value: parsed.output } : refuse(name, value, schema);
}

/** Why a value is refused, in the words of its schema. */
function refuse(name: string, value: unknown, schema: v.GenericSchema | undefined): Failure {
  const refused = schema === undefined ? undefined : refusedOf(schema);
  if (refused !== undefined && "error" in refused && (typeof value === "string" || !refused.isForTexts)) {
    // Only text is quoted in the message; other values may be anything.
    const isSaid = refused.member !== undefined && typeof value === "string";
    return isSaid ? failure(refused.error, { [refused.member ?? ""]: value }) : failure(refused.error);
  }
  return invalidField(name, refused?.expected ?? "as documented");
}

/** A field that has the wrong value; `expected`: what it must be. */
export function invalidField(field: string, expected: string): Failure {
  return failure("REQUEST_INVALID", `${field} must be ${expected}`);
}

/** How a value of a schema is refused. */
function refusedOf(schema: v.GenericSchema): Refused | undefined {
  return v.getMetadata(unwrapped(schema)).refused as Refused | undefined;
}

/** The schema of a field, whether it may be left out or not. */
function unwrapped(schema: v.GenericSchema): v.GenericSchema {
  return "wrapped" in schema ? unwrapped(schema.wrapped as v.GenericSchema) : schema;
}
