/** Answers of the registry, and what all of them have in common. */
import assert from "node:assert/strict";
import { checkByContract } from "./contract.ts";

export type ErrorEntry = { code: string; message: string; detail?: unknown };

/** An answer, read to its end. */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;

  constructor(status: number, headers: Headers, bytes: Uint8Array) {
    this.status = status;
    this.headers = headers;
    this.bytes = bytes;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** What to show of it where it is not as it should be. To decode a whole blob would take longer than its pull. */
  get beginning(): string {
    return new TextDecoder().decode(this.bytes.subarray(0, 300));
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text);
  }

  header(name: string): string {
    const value = this.headers.get(name);
    assert(value !== null, `there is no ${name}`);
    return value;
  }
}

/** What every answer of the registry must be like. */
export function checkAnswer(
  method: string,
  path: string,
  { status, headers, bytes, beginning }: Answer,
): void {
  const what = `${method} ${path}: ${status} ${beginning}`;
  assert.notEqual(status, 500, what);
  assert.equal(headers.get("Docker-Distribution-Api-Version"), "registry/2.0", what);
  assert.match(headers.get("X-Request-Id") ?? "", /^[0-9a-f-]{36}$/, what);
  assert.match(headers.get("Cache-Control") ?? "", /\bno-transform$/, what);
  const length = headers.get("Content-Length");
  if (status === 204 || status === 304) assert.equal(length, null, what);
  else if (method !== "HEAD") assert.equal(length, String(bytes.byteLength), what);
  else assert.match(length ?? "", /^\d+$/, what);
  if (status === 401)
    assert.match(headers.get("WWW-Authenticate") ?? "", /^(Bearer|Basic|Session) realm="/, what);
  if (status === 405) assert(!(headers.get("Allow") ?? method).split(", ").includes(method), what);
  if (status === 429) assert.match(headers.get("Retry-After") ?? "", /^\d+$/, what);
  if (path.startsWith("/api/")) checkByContract(method, path, status, new TextDecoder().decode(bytes));
  if (status < 400 || method === "HEAD") return;
  if (path.startsWith("/api/")) checkProblem(headers, bytes, what);
  else checkErrorBody(headers, bytes, what);
}

function checkProblem(headers: Headers, bytes: Uint8Array, what: string): void {
  assert.equal(headers.get("Content-Type"), "application/problem+json", what);
  const { title, detail, code } = JSON.parse(new TextDecoder().decode(bytes));
  assert.equal(typeof title, "string", what);
  assert(detail === undefined || typeof detail === "string", what);
  assert.match(code, /^[A-Z_]+$/, what);
}

function checkErrorBody(headers: Headers, bytes: Uint8Array, what: string): void {
  assert.equal(headers.get("Content-Type"), "application/json", what);
  const { errors }: { errors: ErrorEntry[] } = JSON.parse(new TextDecoder().decode(bytes));
  assert(errors.length > 0, what);
  for (const { code, message } of errors) {
    assert.match(code, /^[A-Z_]+$/, what);
    assert.equal(typeof message, "string", what);
  }
}

/** Checks that an answer is this error; returns its entry. */
export function expectError(answer: Answer, status: number, code: string): ErrorEntry {
  assert.equal(answer.status, status, answer.text);
  const [error] = answer.json<{ errors: ErrorEntry[] }>().errors;
  assert.equal(error?.code, code, answer.text);
  return error as ErrorEntry;
}

/** Checks that an answer of the management API is this problem; returns its detail. */
export function expectProblem(answer: Answer, status: number, code: string): string | undefined {
  const problem = answer.json<Record<string, unknown>>();
  assert.equal(answer.header("Content-Type"), "application/problem+json");
  assert.deepEqual(
    [answer.status, problem.status, problem.code, problem.type],
    [status, status, code, "about:blank"],
    answer.text,
  );
  assert.equal(problem.requestId, answer.header("X-Request-Id"));
  assert.equal(typeof problem.title, "string");
  const { detail } = problem;
  assert(detail === undefined || typeof detail === "string", answer.text);
  return detail;
}

/** What an answer is, apart from what differs from request to request; `names` are replaced too. */
export function essence(answer: Answer, ...names: string[]): unknown {
  const plain = (text: string) => names.reduce((plainer, name) => plainer.replaceAll(name, "NAME"), text);
  const requestId = answer.header("X-Request-Id");
  const headers = [...answer.headers]
    .filter(([name]) => !["x-request-id", "date", "content-length"].includes(name))
    .map(([name, value]) => [name, plain(value)]);
  return { status: answer.status, headers, body: plain(answer.text.replaceAll(requestId, "ID")) };
}
