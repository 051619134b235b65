/** Reads settings that are JSON: nothing is ignored, as a misspelt field would silently drop what it was meant to say. */

import type { Rejection, Result } from "./errors.ts";
import { isObject } from "./manifest-fields.ts";

/** What is wrong with a setting, and where. */
export class Wrong extends Error {
  constructor(where: string, expected: string) {
    super(`${where} must be ${expected}`);
  }
}

/** Parses a text and reads its value; where `read` throws {@link Wrong}, that is the reason. It quotes no value. */
export function readStrictly<T>(text: string, read: (value: unknown) => T): Result<{ value: T }, Rejection> {
  try {
    return { ok: true, value: read(parseJson(text)) };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { ok: false, reason: error.message };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Wrong("it", "JSON");
  }
}

/** An object that has none but these fields. */
export function readObject(
  value: unknown,
  where: string,
  fields: readonly string[],
): Record<string, unknown> {
  if (!isObject(value)) throw new Wrong(where, "an object");
  const unknown = Object.keys(value).find((name) => !fields.includes(name));
  if (unknown !== undefined) throw new Wrong(`${where}.${unknown}`, `one of ${fields.join(", ")}`);
  return value;
}

/** A text that is not empty. */
export function readText(value: unknown, where: string): string {
  if (typeof value !== "string" || value === "") throw new Wrong(where, "a text");
  return value;
}
